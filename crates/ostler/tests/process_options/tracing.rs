//! Tracing.

use ostler_testkit::{TestResult, TestServer};

use crate::Effect;
use crate::talk::{Scratch, Talk};

pub(crate) const EFFECTS: &[(&str, Effect)] =
    &[("trace_sample_ppm", trace_sample_ppm_is_how_many_traces_are_recorded)];

#[test]
fn trace_sample_ppm_is_how_many_traces_are_recorded() -> TestResult {
    for (ppm, is_recorded) in [(0, false), (1_000_000, true)] {
        let scratch = Scratch::new("sampled")?;
        let server = TestServer::example("tracer")
            .env("TRACER_SPANS", scratch.path("spans"))
            .set("workers", 1)
            .set("trace_sample_ppm", ppm)
            .start()?;
        let context = Talk::new(&server)?.ask("trace")?;
        assert_eq!(context.ends_with("-03"), is_recorded, "{context}");
        server.stop()?;
        let spans = scratch.lines("spans");
        let told = spans.iter().filter(|span| span.contains(" on_receive ")).count();
        assert_eq!(told, usize::from(is_recorded), "{spans:?}");
    }
    Ok(())
}
