//! Metrics as text, laid out as bpftool does.

use std::io::{self, Write};

use super::view::{MetricView, ProfileView};
use crate::render::View;

impl View for ProfileView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let runs = self.0.first().map_or(0, |metric| metric.run_cnt);
        writeln!(out, "\n{runs:>18} {:<20}", "run_cnt")?;
        for metric in &self.0 {
            write!(out, "{:>18} {:<20}", metric.value, metric.metric)?;
            match self.ratio(metric) {
                Some((value, unit)) => write!(out, "# {value:>8.2} {unit:<30}")?,
                None => write!(out, "{:41}", "")?,
            }
            if metric.enabled > metric.running {
                let share = float(metric.running) * 100.0 / float(metric.enabled);
                write!(out, "({share:4.2}%)")?;
            }
            out.write_all(b"\n")?;
        }
        Ok(())
    }
}

impl ProfileView {
    fn ratio(&self, metric: &MetricView) -> Option<(f64, &'static str)> {
        let ratio = metric.ratio?;
        let other = self.0.iter().find(|other| other.metric == ratio.to)?;
        let value = float(metric.value) * ratio.per / float(other.value);
        (other.value > 0).then_some((value, ratio.unit))
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::super::view::Ratio;
    use super::*;

    #[test]
    fn metrics_stand_in_relation() {
        let metric = |metric, value, running, ratio| MetricView {
            metric,
            run_cnt: 7,
            value,
            enabled: 200,
            running,
            ratio,
        };
        let per_cycle = Ratio {
            to: "cycles",
            per: 1.0,
            unit: "insns per cycle",
        };
        let view = ProfileView(vec![
            metric("cycles", 100, 200, None),
            metric("instructions", 250, 50, Some(per_cycle)),
        ]);
        let mut out = Vec::new();
        view.text(&mut out).unwrap();
        let wanted = format!(
            "\n{:>18} {:<20}\n{:>18} {:<20}{:41}\n{:>18} {:<20}# {:>8} {:<30}(25.00%)\n",
            7, "run_cnt", 100, "cycles", "", 250, "instructions", "2.50", "insns per cycle"
        );
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
        assert_eq!(
            serde_json::to_string(&view.0[..1]).unwrap(),
            r#"[{"metric":"cycles","run_cnt":7,"value":100,"enabled":200,"running":200}]"#
        );
    }
}
