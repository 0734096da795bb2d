//! Jobs whose fields have to fit each other: what cannot be is refused when it is read, not when it is tried.

/// Implements `Deserialize` and `Serialize` for a job that derives both with `#[serde(remote = "Job")]`, which makes
/// them methods of its own: what is read is validated before anybody sees it. What was made in Rust is, by `validated`,
/// when it is tried.
macro_rules! validated {
    ($Job:ident) => {
        validated!($Job, validate);
    };
    // With a method for what is read alone.
    ($Job:ident, $validate:ident) => {
        impl<'de> serde::Deserialize<'de> for $Job {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let job = $Job::deserialize(deserializer)?;
                job.$validate().map_err(|error| serde::de::Error::custom(format!("{error:#}")))?;
                Ok(job)
            }
        }

        impl $Job {
            /// As `validate`, for a phase: what does not fit now never will.
            pub(crate) fn validated(&self) -> anyhow::Result<()> {
                Ok(self.validate().map_err(|error| dojob::Permanent::new(format!("{error:#}")))?)
            }
        }

        impl serde::Serialize for $Job {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $Job::serialize(self, serializer)
            }
        }
    };
}

pub(crate) use validated;
