//! Parts that nothing connects, beside and below each other.

use super::geometry::{Layout, Point, Rect};
use super::part::Part;

const APART: i64 = 32;
/// Between the frames of two parts.
const MARGIN: i64 = 12;

/// Puts the parts into rows, the tallest first, such that the whole is somewhat broader than high.
pub(super) fn pack(nodes: usize, parts: &[Part], plans: Vec<Layout>) -> Layout {
    let mut order: Vec<usize> = (0..plans.len()).collect();
    order.sort_by_key(|part| std::cmp::Reverse(plans[*part].height));
    let room = parts.first().map(|part| part.room).unwrap_or_default();
    let apart = APART.max(room.beside + MARGIN).max(room.above + MARGIN);
    let row = row_width(&plans, apart);
    let mut corners = vec![Point { x: 0, y: 0 }; plans.len()];
    let (mut x, mut y, mut row_height, mut width) = (0, 0, 0, 0);
    for part in order {
        let plan = &plans[part];
        if x > 0 && x + plan.width > row {
            (x, y, row_height) = (0, y + row_height + apart, 0);
        }
        corners[part] = Point { x, y };
        x += plan.width + apart;
        row_height = row_height.max(plan.height);
        width = width.max(x - apart);
    }
    let mut whole = Layout {
        boxes: vec![Rect { x: 0, y: 0, width: 0, height: 0 }; nodes],
        wires: Vec::new(),
        width,
        height: y + row_height,
    };
    for ((part, plan), corner) in parts.iter().zip(plans).zip(corners) {
        add(&mut whole, part, plan, corner);
    }
    whole
}

/// How long a row may be: as broad as the broadest part, and so long that all rows are 1.6 times as broad as high.
fn row_width(plans: &[Layout], apart: i64) -> i64 {
    let broadest = plans.iter().map(|plan| plan.width).max().unwrap_or(0);
    let area: i64 = plans.iter().map(|plan| (plan.width + apart) * (plan.height + apart)).sum();
    broadest.max((area * 8 / 5).isqrt())
}

fn add(whole: &mut Layout, part: &Part, plan: Layout, corner: Point) {
    let plan = plan.moved(corner);
    for (node, rect) in part.nodes.iter().zip(plan.boxes) {
        whole.boxes[*node as usize] = rect;
    }
    for mut wire in plan.wires {
        wire.edge = (part.nodes[wire.edge.0 as usize], part.nodes[wire.edge.1 as usize]);
        whole.wires.push(wire);
    }
}
