//! Tests of events and who hears them.

use super::*;

#[test]
fn events_are_json_objects_with_a_tag() {
    let event = Event::PhaseEnded {
        job: "A".into(),
        phase: Phase::Recheck,
        attempt: 2,
        passed: true,
        is_final: true,
        failure: None,
        duration: Duration::from_millis(1500),
    };
    assert_eq!(
        serde_json::to_string(&event).unwrap(),
        r#"{"event":"phase_ended","job":"A","phase":"recheck","try":2,"passed":true,"final":true,"seconds":1.5}"#
    );
}

#[test]
fn nothing_is_made_when_nobody_listens() {
    Emitter::default().emit(|| unreachable!("made for nobody"));
}
