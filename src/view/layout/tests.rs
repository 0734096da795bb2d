//! What every picture keeps, whatever the graph: checked on random graphs and on those of special shapes.

use proptest::prelude::*;

use super::*;

/// A graph whose nodes have these sizes and lead to these lower ones.
#[derive(Clone, Debug)]
struct Graph {
    sizes: Vec<Size>,
    targets: Vec<Vec<u32>>,
}

impl Graph {
    fn new(targets: Vec<Vec<u32>>) -> Self {
        let size = Size { width: 100, height: 32, corner: 7 };
        Graph { sizes: vec![size; targets.len()], targets }
    }

    fn edges(&self) -> Adjacency {
        let mut edges = Adjacency::default();
        for targets in &self.targets {
            targets.iter().for_each(|target| edges.push(*target));
            edges.close();
        }
        edges.deduplicate();
        edges
    }

    /// Checks the picture in both directions.
    fn check(&self) {
        let edges = self.edges();
        let parts = parts(&self.sizes, &edges);
        let layers: Vec<Vec<u32>> = parts.iter().map(rank::layers).collect();
        for direction in [Direction::Down, Direction::Right] {
            let plan = plan_towards(direction, self.sizes.len(), &parts, &layers);
            Checker { graph: self, edges: &edges, plan: &plan, direction }.check();
        }
    }
}

struct Checker<'c> {
    graph: &'c Graph,
    edges: &'c Adjacency,
    plan: &'c Layout,
    direction: Direction,
}

impl Checker<'_> {
    fn check(&self) {
        self.boxes_have_their_sizes_and_are_within();
        self.no_boxes_overlap();
        self.every_edge_has_a_wire();
        for wire in &self.plan.wires {
            self.begins_and_ends_where_it_should(wire);
            self.meets_no_other_box(wire);
        }
    }

    fn boxes_have_their_sizes_and_are_within(&self) {
        for (rect, size) in self.plan.boxes.iter().zip(&self.graph.sizes) {
            assert_eq!((rect.width, rect.height), (size.width, size.height));
            assert!(rect.x >= 0 && rect.y >= 0, "{rect:?}");
            assert!(
                rect.x + rect.width <= self.plan.width && rect.y + rect.height <= self.plan.height,
                "{rect:?}"
            );
        }
    }

    /// They are at least ten pixels apart.
    fn no_boxes_overlap(&self) {
        for (at, one) in self.plan.boxes.iter().enumerate() {
            for other in &self.plan.boxes[at + 1..] {
                let apart = (one.x - other.x - other.width)
                    .max(other.x - one.x - one.width)
                    .max(one.y - other.y - other.height)
                    .max(other.y - one.y - one.height);
                assert!(apart >= 10, "{one:?} {other:?}");
            }
        }
    }

    fn every_edge_has_a_wire(&self) {
        let mut drawn: Vec<(u32, u32)> = self.plan.wires.iter().map(|wire| wire.edge).collect();
        drawn.sort_unstable();
        let mut wanted: Vec<(u32, u32)> = (0..self.edges.len() as u32)
            .flat_map(|from| self.edges.of(from).iter().map(move |to| (from, *to)))
            .collect();
        wanted.sort_unstable();
        assert_eq!(drawn, wanted);
    }

    /// At the sides of its boxes that face each other, or on a wire from the same box, or to the same.
    fn begins_and_ends_where_it_should(&self, wire: &Wire) {
        let (from, to) = (self.plan.boxes[wire.edge.0 as usize], self.plan.boxes[wire.edge.1 as usize]);
        let points = points(wire);
        let (first, last) = (points[0], points[points.len() - 1]);
        let (x, y) = first;
        let begins = match self.direction {
            Direction::Down => y == bottom(from) && left(from) <= x && x <= right(from),
            Direction::Right => x == right(from) && top(from) <= y && y <= bottom(from),
        };
        let lies_on = |point, same_edge: &dyn Fn(&Wire) -> bool| {
            self.plan
                .wires
                .iter()
                .filter(|other| *other != wire && same_edge(other))
                .any(|other| passes(other, point))
        };
        assert!(begins || lies_on(first, &|other| other.edge.0 == wire.edge.0), "{wire:?} begins nowhere");
        let (x, y) = last;
        let ends = match self.direction {
            Direction::Down => y == top(to) && left(to) <= x && x <= right(to),
            Direction::Right => x == left(to) && top(to) <= y && y <= bottom(to),
        };
        assert!(
            if wire.arrives { ends } else { lies_on(last, &|other| other.edge.1 == wire.edge.1) },
            "{wire:?} {x} {y} {} {}",
            self.plan.width,
            self.plan.height
        );
        let (width, height) = (self.plan.width as f64 + 0.5, self.plan.height as f64 + 0.5);
        for (x, y) in points {
            assert!(-0.5 <= x && x <= width && -0.5 <= y && y <= height, "{wire:?} leaves the picture");
        }
    }

    /// It stays at least five pixels away from boxes that are not its own, and out of these.
    fn meets_no_other_box(&self, wire: &Wire) {
        let points = points(wire);
        let bound = |pick: fn(&(f64, f64)) -> f64| {
            let all = points.iter().map(pick);
            all.fold((f64::MAX, f64::MIN), |(least, most), at| (least.min(at), most.max(at)))
        };
        let ((x0, x1), (y0, y1)) = (bound(|point| point.0), bound(|point| point.1));
        for (node, rect) in self.plan.boxes.iter().enumerate() {
            let is_own = node as u32 == wire.edge.0 || node as u32 == wire.edge.1;
            let clear = if is_own { 0.0 } else { 5.0 };
            if x1 <= left(*rect) - clear
                || x0 >= right(*rect) + clear
                || y1 <= top(*rect) - clear
                || y0 >= bottom(*rect) + clear
            {
                continue;
            }
            for &(x, y) in &points {
                let is_in = x > left(*rect) - clear
                    && x < right(*rect) + clear
                    && y > top(*rect) - clear
                    && y < bottom(*rect) + clear;
                assert!(!is_in, "{wire:?} meets the box {node} {rect:?} at {x} {y}");
            }
        }
    }
}

fn left(rect: Rect) -> f64 {
    rect.x as f64
}

fn right(rect: Rect) -> f64 {
    (rect.x + rect.width) as f64
}

fn top(rect: Rect) -> f64 {
    rect.y as f64
}

fn bottom(rect: Rect) -> f64 {
    (rect.y + rect.height) as f64
}

/// Points on a wire that are close to each other.
fn points(wire: &Wire) -> Vec<(f64, f64)> {
    let float = |point: Point| (point.x as f64, point.y as f64);
    let mut at = float(wire.start);
    let mut points = vec![at];
    for piece in &wire.pieces {
        let (one, other, to) = match *piece {
            Piece::Line(to) => (at, float(to), float(to)),
            Piece::Curve(one, other, to) => (float(one), float(other), float(to)),
        };
        let steps = (((to.0 - at.0).abs() + (to.1 - at.1).abs()) / 2.0).max(8.0) as u32;
        for step in 1..=steps {
            let t = f64::from(step) / f64::from(steps);
            let s = 1.0 - t;
            let on = |a: f64, b: f64, c: f64, d: f64| {
                s * s * s * a + 3.0 * s * s * t * b + 3.0 * s * t * t * c + t * t * t * d
            };
            points.push((on(at.0, one.0, other.0, to.0), on(at.1, one.1, other.1, to.1)));
        }
        at = to;
    }
    points
}

/// Whether a wire goes through a point, near enough.
fn passes(wire: &Wire, point: (f64, f64)) -> bool {
    points(wire).iter().any(|(x, y)| (x - point.0).abs() + (y - point.1).abs() <= 4.0)
}

fn size() -> impl Strategy<Value = Size> {
    prop_oneof![
        8 => (13..130_i64, 16..24_i64),
        1 => (130..260_i64, 24..60_i64),
        1 => (200..280_i64, 100..600_i64),
    ]
    .prop_map(|(width, height)| Size { width: 2 * width, height: 2 * height, corner: 7 })
}

prop_compose! {
    /// Each node leads to some of those before it, mostly to near ones.
    fn graph(most: usize)(nodes in 1..=most)(
        sizes in prop::collection::vec(size(), nodes),
        targets in prop::collection::vec(prop::collection::vec((any::<u32>(), 1..40_u32), 0..5), nodes),
    ) -> Graph {
        let targets = targets.into_iter().enumerate().map(|(node, targets)| {
            let near = |(pick, reach): (u32, u32)| (node > 0).then(|| node as u32 - 1 - pick % reach.min(node as u32));
            targets.into_iter().filter_map(near).collect()
        });
        Graph { sizes, targets: targets.collect() }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn nothing_overlaps_in_random_graphs(graph in graph(60)) {
        graph.check();
    }

    #[test]
    fn nothing_overlaps_in_layers(broad in 1..14_u32, deep in 1..8_u32, picks in prop::collection::vec(any::<u32>(), 200)) {
        let mut picks = picks.into_iter().cycle();
        let node = |layer: u32, picks: &mut dyn Iterator<Item = u32>| match layer {
            0 => Vec::new(),
            layer => picks.take(2).map(|pick| (layer - 1) * broad + pick % broad).collect(),
        };
        let targets = (0..deep * broad).map(|at| node(at / broad, &mut picks)).collect();
        Graph::new(targets).check();
    }
}

#[test]
fn nothing_overlaps_in_special_shapes() {
    let star = |leaves: u32| {
        let mut targets = vec![Vec::new(); leaves as usize];
        targets.push((0..leaves).collect());
        targets
    };
    let hub = |dependents: usize| std::iter::once(Vec::new()).chain(vec![vec![0]; dependents]).collect();
    let chain = |nodes: u32| (0..nodes).map(|node| node.checked_sub(1).into_iter().collect()).collect();
    // All of a chain need its first node, too.
    let ladder =
        |nodes: u32| (0..nodes).map(|node| if node == 0 { vec![] } else { vec![node - 1, 0] }).collect();
    let full = |nodes: u32| (0..nodes).map(|node| (0..node).collect()).collect();
    let between = |nodes: u32| {
        let mut targets = vec![vec![0]; nodes as usize + 1];
        targets[0].clear();
        targets.push((1..=nodes).collect());
        targets
    };
    Graph::new(Vec::new()).check();
    for targets in
        [chain(1), vec![Vec::new(); 40], chain(80), star(70), hub(70), ladder(60), full(14), between(120)]
    {
        Graph::new(targets).check();
    }
}

#[test]
fn a_wire_that_is_alone_on_a_side_meets_its_middle() {
    let mut targets = vec![Vec::new(); 5];
    targets.push((0..5).collect());
    let graph = Graph::new(targets);
    let plan = plan(&graph.sizes, &graph.edges());
    for wire in &plan.wires {
        let rect = plan.boxes[wire.edge.1 as usize];
        let (x, _) = points(wire)[points(wire).len() - 1];
        assert!((x - (rect.x + rect.width / 2) as f64).abs() <= 10.0, "{wire:?} {rect:?}");
    }
}

#[test]
fn a_long_wire_comes_straight_down_to_its_box() {
    // Each of four boxes at the bottom is needed by the root, and by one that passes it by.
    let graph =
        Graph::new(vec![vec![], vec![], vec![], vec![], vec![0, 1, 2, 3], vec![4], vec![5, 0, 1, 2, 3]]);
    let plan = plan(&graph.sizes, &graph.edges());
    let long: Vec<&Wire> = plan.wires.iter().filter(|wire| wire.edge.0 == 6 && wire.edge.1 < 4).collect();
    assert_eq!(long.len(), 4);
    for wire in long {
        let curves = wire.pieces.iter().filter(|piece| matches!(piece, Piece::Curve(..))).count();
        assert!(curves <= 1, "{wire:?}");
    }
}

#[test]
fn leaves_of_a_hub_are_folded() {
    let mut targets = vec![Vec::new(); 200];
    targets.push((0..200).collect());
    let graph = Graph::new(targets);
    graph.check();
    let plan = plan(&graph.sizes, &graph.edges());
    assert!(plan.width < 3000 && plan.height < 3000, "{} {}", plan.width, plan.height);
}

#[test]
fn wires_that_pass_very_many_layers_go_round() {
    let targets: Vec<Vec<u32>> = (0..400_u32)
        .map(|node| match node {
            0 => vec![],
            1 => vec![0],
            node => vec![node - 1, node * 7919 % (node - 1)],
        })
        .collect();
    let graph = Graph::new(targets);
    let parts = parts(&graph.sizes, &graph.edges());
    let layers = rank::layers(&parts[0]);
    let layered = Layered::new(&parts[0], &layers, &vec![false; 400]);
    assert!(!layered.detours.is_empty());
    assert!(layered.items.len() < 400 + 8 * 1200 + 4000, "{} points", layered.items.len());
    let plan = plan_towards(Direction::Down, 400, &parts, &[layers]);
    Checker { graph: &graph, edges: &graph.edges(), plan: &plan, direction: Direction::Down }.check();
}

#[test]
fn two_plans_of_one_graph_are_equal() {
    let graph = Graph::new(
        (0..300_u32).map(|node| (0..node % 4).map(|at| (node * 31 + at * 17) % node).collect()).collect(),
    );
    let (one, other) = (plan(&graph.sizes, &graph.edges()), plan(&graph.sizes, &graph.edges()));
    assert_eq!((one.boxes, one.wires), (other.boxes, other.wires));
}

prop_compose! {
    /// A group for each node, or none; each group may be in one before it.
    fn clusters(nodes: usize)(count in 1..6_usize)(
        parents in prop::collection::vec(any::<u32>(), count),
        titles in prop::collection::vec(0..300_i64, count),
        framed in prop::collection::vec(prop::bool::weighted(0.9), count),
        // Near nodes are often in one group, as they are in a real graph.
        picks in prop::collection::vec((0..count as u32 + 1, 1..6_usize), nodes),
    ) -> Vec<Cluster> {
        let mut clusters: Vec<Cluster> = parents.into_iter().zip(titles).zip(framed).enumerate()
            .map(|(at, ((pick, title), is_framed))| {
                let parent = pick.checked_rem(2 * at as u32).filter(|parent| *parent < at as u32);
                Cluster { parent, nodes: Vec::new(), title, is_framed }
            })
            .collect();
        let groups = picks.into_iter().flat_map(|(group, times)| std::iter::repeat_n(group, times));
        for (node, group) in (0..nodes as u32).zip(groups) {
            if let Some(cluster) = clusters.get_mut(group as usize) {
                cluster.nodes.push(node);
            }
        }
        clusters
    }
}

fn contains(outer: Rect, inner: Rect) -> bool {
    outer.x < inner.x
        && outer.y < inner.y
        && outer.x + outer.width > inner.x + inner.width
        && outer.y + outer.height > inner.y + inner.height
}

fn are_disjoint(one: Rect, other: Rect) -> bool {
    one.x + one.width < other.x
        || other.x + other.width < one.x
        || one.y + one.height < other.y
        || other.y + other.height < one.y
}

fn check_frames(plan: &Layout, clusters: &[Cluster], frames: &[Option<Rect>]) {
    let is_within = |at: usize, outer: usize| {
        std::iter::successors(Some(at), |at| clusters[*at].parent.map(|parent| parent as usize))
            .any(|at| at == outer)
    };
    let cluster_of = |node: u32| (0..clusters.len()).find(|cluster| clusters[*cluster].nodes.contains(&node));
    for (at, frame) in frames.iter().enumerate().filter_map(|(at, frame)| Some((at, (*frame)?))) {
        assert!(clusters[at].is_framed);
        assert!(frame.width >= clusters[at].title);
        assert!(frame.x >= 0 && frame.y >= 0, "{frame:?}");
        assert!(frame.x + frame.width <= plan.width && frame.y + frame.height <= plan.height, "{frame:?}");
        for (node, rect) in plan.boxes.iter().enumerate() {
            if cluster_of(node as u32).is_some_and(|cluster| is_within(cluster, at)) {
                assert!(contains(frame, *rect), "{frame:?} of {at} does not contain {node} at {rect:?}");
            } else {
                assert!(are_disjoint(frame, *rect), "{frame:?} of {at} meets {node} at {rect:?}");
            }
        }
        for (other, inner) in frames.iter().enumerate().filter(|(other, _)| *other != at) {
            match inner {
                None => {}
                Some(inner) if is_within(other, at) => assert!(contains(frame, *inner)),
                Some(outer) if is_within(at, other) => assert!(contains(*outer, frame)),
                Some(other) => assert!(are_disjoint(frame, *other), "{frame:?} {other:?}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn frames_contain_their_boxes_alone_and_nest_or_are_disjoint(
        (graph, clusters) in graph(40).prop_flat_map(|graph| {
            let clusters = clusters(graph.sizes.len());
            (Just(graph), clusters)
        })
    ) {
        let edges = graph.edges();
        let room = Room::of_frames(frames::depth(&clusters));
        let parts: Vec<Part> =
            parts(&graph.sizes, &edges).into_iter().map(|part| part.with_room(room)).collect();
        let layers: Vec<Vec<u32>> = parts.iter().map(rank::layers).collect();
        for direction in [Direction::Down, Direction::Right] {
            let plan = plan_towards(direction, graph.sizes.len(), &parts, &layers);
            let (plan, frames) = with_frames(plan, &clusters);
            check_frames(&plan, &clusters, &frames);
            Checker { graph: &graph, edges: &edges, plan: &plan, direction }.check();
        }
    }
}

fn cluster(parent: Option<u32>, nodes: &[u32]) -> Cluster {
    Cluster { parent, nodes: nodes.to_vec(), title: 40, is_framed: true }
}

#[test]
fn groups_beside_and_above_each_other_have_frames() {
    // Two groups of three boxes, both needed by a third one that is within a fourth.
    let targets =
        vec![vec![], vec![], vec![0, 1], vec![], vec![], vec![3, 4], vec![2, 5], vec![6], vec![7], vec![7]];
    let graph = Graph::new(targets);
    let clusters = [
        cluster(None, &[0, 1, 2]),
        cluster(None, &[3, 4, 5]),
        cluster(None, &[6]),
        cluster(Some(2), &[7, 8, 9]),
    ];
    let (plan, frames) = plan_framed(&graph.sizes, &graph.edges(), &clusters);
    assert!(frames.iter().all(Option::is_some), "{frames:?}");
    check_frames(&plan, &clusters, &frames);
}

#[test]
fn a_group_around_a_box_of_another_one_has_no_frame() {
    let graph = Graph::new(vec![vec![], vec![0], vec![1]]);
    let clusters = [cluster(None, &[0, 2])];
    let (_, frames) = plan_framed(&graph.sizes, &graph.edges(), &clusters);
    assert_eq!(frames, [None]);
}
