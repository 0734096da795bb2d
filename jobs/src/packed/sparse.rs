//! Files with holes in tar archives, as GNU tar describes them in extended headers (its formats 0.0, 0.1 and 1.0).

use std::collections::VecDeque;
use std::io::{self, Read};

/// The map of format 1.0 is a multiple of so many bytes long.
const BLOCK: usize = 512;

/// More pieces than this are refused: the map is held in memory.
const MOST_PIECES: u64 = 100_000;

/// What extended headers say of a file with holes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sparse {
    /// The name of the file, where the entry itself bears a made-up one.
    pub(crate) name: Option<Vec<u8>>,
    /// The length of the file, with its holes.
    pub(crate) size: u64,
    /// Where its pieces are; `None` where the content begins with that.
    map: Option<Vec<Piece>>,
}

/// Bytes that are in the archive; everything between two pieces is a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    offset: u64,
    length: u64,
}

fn wrong(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a file with holes: {why}"))
}

fn number(text: &[u8]) -> io::Result<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(text).ok().filter(|_| digits).and_then(|text| text.parse().ok());
    number.ok_or_else(|| wrong("its description has something else where a number belongs"))
}

impl Sparse {
    /// What these extended headers say, where they are of a file with holes.
    ///
    /// # Errors
    /// When they contradict themselves, or are of a format that is not known.
    pub(crate) fn of_headers<'h>(
        headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
    ) -> io::Result<Option<Self>> {
        let (mut name, mut size, mut real_size, mut version) = (None, None, None, (None, None));
        let (mut offsets, mut map) = (Vec::new(), None::<Vec<Piece>>);
        let mut any = false;
        for (key, value) in headers {
            if key == b"SCHILY.realsize" {
                return Err(wrong("it is described in the way of star, which is not supported"));
            }
            let Some(key) = key.strip_prefix(b"GNU.sparse.") else { continue };
            any = true;
            match key {
                b"name" => name = Some(value.to_owned()),
                b"size" => size = Some(number(value)?),
                b"realsize" => real_size = Some(number(value)?),
                b"major" => version.0 = Some(number(value)?),
                b"minor" => version.1 = Some(number(value)?),
                b"offset" => offsets.push(number(value)?),
                b"numbytes" => {
                    let pieces = map.get_or_insert_default();
                    let offset = offsets.pop().ok_or_else(|| wrong("a piece has no place"))?;
                    pieces.push(Piece { offset, length: number(value)? });
                }
                b"map" => {
                    let numbers = value.split(|byte| *byte == b',').filter(|text| !text.is_empty());
                    map = Some(pairs(&numbers.map(number).collect::<io::Result<Vec<_>>>()?)?);
                }
                b"numblocks" => {}
                _ => return Err(wrong("its description is of a format that is not known")),
            }
        }
        if !any {
            return Ok(None);
        }
        let in_content = match version {
            (Some(1), Some(0)) => true,
            (None, None) | (Some(0), Some(0 | 1)) => false,
            _ => return Err(wrong("its description is of a format that is not known")),
        };
        let size = if in_content { real_size } else { size.or(real_size) };
        let size = size.ok_or_else(|| wrong("its length is not given"))?;
        let map = if in_content { None } else { Some(map.unwrap_or_default()) };
        if !offsets.is_empty() {
            return Err(wrong("a piece has no length"));
        }
        Ok(Some(Sparse { name, size, map }))
    }

    /// The whole file, from a content that holds `stored` bytes: the pieces, behind the map where that is not known yet.
    ///
    /// # Errors
    /// When the map does not fit the file, or cannot be read.
    pub(crate) fn filled<R: Read>(self, mut content: R, stored: u64) -> io::Result<Filled<R>> {
        let (map, before) = match self.map {
            Some(map) => (map, 0),
            None => read_map(&mut content)?,
        };
        let mut end = 0;
        let mut sum: u64 = 0;
        for piece in &map {
            if piece.offset < end {
                return Err(wrong("its pieces overlap, or are out of order"));
            }
            end = piece.offset.checked_add(piece.length).ok_or_else(|| wrong("a piece is too long"))?;
            // Smaller than `end`.
            sum += piece.length;
        }
        if end > self.size {
            return Err(wrong("a piece lies behind its end"));
        }
        if sum.checked_add(before) != Some(stored) {
            return Err(wrong("its pieces are not as long as its content"));
        }
        Ok(Filled { content, map: map.into(), at: 0, size: self.size })
    }
}

fn pairs(numbers: &[u64]) -> io::Result<Vec<Piece>> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(wrong("a piece has no length"));
    }
    Ok(pairs.iter().map(|&[offset, length]| Piece { offset, length }).collect())
}

/// The map that a content begins with, and how many bytes it takes there: the number of pieces, and two numbers for each.
fn read_map(content: &mut impl Read) -> io::Result<(Vec<Piece>, u64)> {
    let (mut numbers, mut digits) = (Vec::new(), Vec::new());
    let mut length = 0;
    loop {
        let mut block = [0; BLOCK];
        content.read_exact(&mut block)?;
        length += BLOCK as u64;
        for byte in block {
            if byte != b'\n' {
                digits.push(byte);
                continue;
            }
            numbers.push(number(&digits)?);
            digits.clear();
            let count = numbers[0];
            if count > MOST_PIECES {
                return Err(wrong("it has too many pieces"));
            }
            if (numbers.len() - 1) as u64 == count * 2 {
                // What is left of the block is padding.
                return Ok((pairs(&numbers[1..])?, length));
            }
        }
        if digits.len() > BLOCK {
            return Err(wrong("its description has something else where a number belongs"));
        }
    }
}

/// A reader of a file with holes, which are zeroes in it.
pub(crate) struct Filled<R> {
    content: R,
    /// What is still to come.
    map: VecDeque<Piece>,
    at: u64,
    size: u64,
}

impl<R: Read> Read for Filled<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.map.front().is_some_and(|piece| piece.length == 0) {
            self.map.pop_front();
        }
        let hole = self.map.front().map_or(self.size, |piece| piece.offset) - self.at;
        let fits =
            |length: u64| usize::try_from(length).map_or(buffer.len(), |length| length.min(buffer.len()));
        if hole > 0 {
            let length = fits(hole);
            buffer[..length].fill(0);
            self.at += length as u64;
            return Ok(length);
        }
        let Some(piece) = self.map.front_mut() else { return Ok(0) };
        let length = fits(piece.length);
        let read = self.content.read(&mut buffer[..length])?;
        if read == 0 && length > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += read as u64;
        *piece = Piece { offset: self.at, length: piece.length - read as u64 };
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sparse(headers: &[(&str, &str)]) -> Result<Option<Sparse>, String> {
        let headers = headers.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes()));
        Sparse::of_headers(headers).map_err(|error| error.to_string())
    }

    fn read(headers: &[(&str, &str)], content: &[u8]) -> Result<Vec<u8>, String> {
        let sparse = sparse(headers)?.unwrap();
        let mut all = Vec::new();
        let filled = sparse.filled(content, content.len() as u64).map_err(|error| error.to_string())?;
        filled.take(1_000_000).read_to_end(&mut all).map_err(|error| error.to_string())?;
        Ok(all)
    }

    #[test]
    fn each_format_fills_its_holes() {
        let pieces = [
            ("GNU.sparse.size", "9"),
            ("GNU.sparse.numblocks", "2"),
            ("GNU.sparse.offset", "1"),
            ("GNU.sparse.numbytes", "2"),
            ("GNU.sparse.offset", "5"),
            ("GNU.sparse.numbytes", "1"),
        ];
        assert_eq!(read(&pieces, b"abc").unwrap(), b"\0ab\0\0c\0\0\0");
        let map = [("GNU.sparse.size", "7"), ("GNU.sparse.map", "1,2,5,1,7,0"), ("GNU.sparse.name", "n")];
        assert_eq!(read(&map, b"abc").unwrap(), b"\0ab\0\0c\0");
        assert_eq!(sparse(&map).unwrap().unwrap().name.unwrap(), b"n");
        let mut content = b"2\n1\n2\n5\n1\n".to_vec();
        content.resize(512, 0);
        content.extend(b"abc");
        let one = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "6")];
        assert_eq!(read(&one, &content).unwrap(), b"\0ab\0\0c");
        assert_eq!(read(&[("GNU.sparse.size", "3")], b"").unwrap(), b"\0\0\0");
        assert_eq!(sparse(&[("path", "a"), ("mtime", "1.5")]), Ok(None));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let map =
            |size, map| read(&[("GNU.sparse.size", size), ("GNU.sparse.map", map)], b"abc").unwrap_err();
        assert!(map("9", "1,2,2,1").contains("overlap"));
        assert!(map("9", "5,1,1,2").contains("out of order"));
        assert!(map("5", "1,2,5,1").contains("behind its end"));
        assert!(map("9", "1,2").contains("not as long as its content"));
        assert!(map("9", "1,2,5").contains("has no length"));
        assert!(map("9", "1,-2").contains("where a number belongs"));
        assert!(map("9", "18446744073709551615,3").contains("too long"));
        assert!(map("", "0,3").contains("where a number belongs"));
        assert!(sparse(&[("GNU.sparse.map", "0,3")]).unwrap_err().contains("length is not given"));
        let other = [("GNU.sparse.major", "2"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "6")];
        assert!(sparse(&other).unwrap_err().contains("format that is not known"));
        assert!(sparse(&[("SCHILY.realsize", "6")]).unwrap_err().contains("star"));
        let one = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "6")];
        let mut many = b"99999999999\n".to_vec();
        many.resize(512, 0);
        assert!(read(&one, &many).unwrap_err().contains("too many pieces"));
        assert!(read(&one, b"1\n0\n").is_err());
        assert!(read(&one, &[b'1'; 2048]).unwrap_err().contains("where a number belongs"));
    }

    #[test]
    fn a_content_that_breaks_off_is_an_error() {
        let sparse = sparse(&[("GNU.sparse.size", "9"), ("GNU.sparse.map", "1,5")]).unwrap().unwrap();
        let mut all = Vec::new();
        let error = sparse.filled(&b"abc"[..], 5).unwrap().read_to_end(&mut all).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
