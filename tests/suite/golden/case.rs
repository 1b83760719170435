//! One case: JSON to view, view to JSON and text.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use rbpftool::failure::Failure;
use rbpftool::nouns::btf::view::BtfView;
use rbpftool::nouns::cgroup::view::{CgroupView, ProgramsView, TreeView};
use rbpftool::nouns::help;
use rbpftool::nouns::link::view::LinkView;
use rbpftool::nouns::map::view::MapView;
use rbpftool::nouns::net::view::NetView;
use rbpftool::nouns::perf::view::PerfView;
use rbpftool::nouns::prog::view::{ProgView, RunView};
use rbpftool::nouns::struct_ops::view::StructOpsView;
use rbpftool::nouns::version::VersionView;
use rbpftool::render::escape::Text;
use rbpftool::render::{Format, Output, View};
use rbpftool_tests::{Expected, ensure_eq};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What a command shows: one object, or a list.
#[derive(Debug)]
pub(crate) enum Shown<V> {
    One(V),
    All(Vec<V>),
}

impl<V: View + DeserializeOwned> Shown<V> {
    pub(crate) fn read(json: &str) -> Result<Self> {
        Ok(if json.starts_with('[') {
            Self::All(serde_json::from_str(json).context("read the list")?)
        } else {
            Self::One(serde_json::from_str(json).context("read the object")?)
        })
    }

    fn render(&self, format: Format) -> Result<String> {
        written(format, |output| {
            match self {
                Self::One(view) => output.show(view),
                Self::All(views) => output.show_all(views),
            }
            .map_err(|failure| anyhow::anyhow!("{failure:?}"))
        })
        .map(|(out, _)| out)
    }
}

/// Checks one case.
pub(crate) fn check(noun: &str, case: &str, path: &Path) -> Result<()> {
    let json = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let files = Files { noun, case, json };
    match (noun, case) {
        ("prog", case) if case.starts_with("run") => files.run(case.contains("average")),
        ("prog", _) => files.view::<ProgView>(),
        ("map", _) => files.view::<MapView>(),
        ("link", _) => files.view::<LinkView>(),
        ("btf", _) => files.view::<BtfView>(),
        ("perf", _) => files.view::<PerfView>(),
        ("struct_ops", _) => files.view::<StructOpsView>(),
        ("net", _) => files.view::<NetView>(),
        ("cgroup", case) if case.starts_with("tree") => files.tree(case.contains("effective")),
        ("cgroup", _) => files.whole(|json| Ok(ProgramsView(serde_json::from_str(json)?))),
        ("version", _) => files.view::<VersionView>(),
        ("errors", case) => files.error(case.starts_with("usage")),
        _ => bail!("no view is known for tests/golden/{noun}"),
    }
}

/// The files of a case.
struct Files<'a> {
    noun: &'a str,
    case: &'a str,
    json: String,
}

impl Files<'_> {
    fn view<V: View + DeserializeOwned>(&self) -> Result<()> {
        let shown = Shown::<V>::read(&self.json)?;
        self.compare(
            &shown.render(Format::Json)?,
            &shown.render(Format::Pretty)?,
            &shown.render(Format::Text)?,
        )
    }

    /// A list whose text has a head.
    fn whole<V: View>(&self, read: impl FnOnce(&str) -> Result<V>) -> Result<()> {
        let view = read(&self.json).context("read the list")?;
        let show = |format| {
            let shown = written(format, |output| {
                let shown = output.show(&view);
                shown.map_err(|failure| anyhow::anyhow!("{failure:?}"))
            });
            shown.map(|(out, _)| out)
        };
        self.compare(
            &show(Format::Json)?,
            &show(Format::Pretty)?,
            &show(Format::Text)?,
        )
    }

    /// The JSON does not tell where the tree begins; the text does.
    fn tree(&self, effective: bool) -> Result<()> {
        self.whole(|json| {
            let cgroups: Vec<CgroupView> = serde_json::from_str(json)?;
            let root = cgroups.first().map(|first| first.cgroup.clone());
            Ok(TreeView {
                root: root.unwrap_or_default(),
                effective,
                cgroups,
            })
        })
    }

    /// The JSON does not tell whether the time is an average; the text does.
    fn run(&self, average: bool) -> Result<()> {
        let mut view: RunView = serde_json::from_str(&self.json).context("read the object")?;
        view.average = average;
        let shown = Shown::One(view);
        self.compare(
            &shown.render(Format::Json)?,
            &shown.render(Format::Pretty)?,
            &shown.render(Format::Text)?,
        )
    }

    /// Errors go to stdout in JSON, to stderr as text.
    fn error(&self, usage: bool) -> Result<()> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Error {
            error: String,
            hint: Option<String>,
        }
        let Error { error, hint } = serde_json::from_str(&self.json).context("read the error")?;
        let mut failure = if usage {
            Failure::usage(error)
        } else {
            Failure::new(error)
        };
        if let Some(hint) = hint {
            failure = failure.with_hint(hint);
        }
        let show = |format| {
            written(format, |output| {
                output
                    .fail(&failure, help::TOP)
                    .map_err(|failure| anyhow::anyhow!("{failure:?}"))
            })
        };
        let (json, errors) = show(Format::Json)?;
        ensure_eq!(errors, "", "an error in JSON is on stdout only");
        let (out, text) = show(Format::Text)?;
        ensure_eq!(out, "", "an error is on stderr only");
        self.compare(&json, &show(Format::Pretty)?.0, &text)
    }

    fn compare(&self, json: &str, pretty: &str, text: &str) -> Result<()> {
        if let Some(difference) = difference(&self.json, json) {
            bail!("the view reads as another document: {difference}");
        }
        let of = |extension: &str| {
            let Self { noun, case, .. } = self;
            Expected::at(format!("tests/golden/{noun}/{case}.{extension}"))
        };
        let laid_out = rbpftool_tests::root().join(format!(
            "tests/golden/{}/{}.pretty.json",
            self.noun, self.case
        ));
        if laid_out.exists() {
            of("pretty.json").check(pretty)?;
        }
        // Whatever its layout, it is the same document.
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text);
        ensure_eq!(value(pretty)?, value(json)?, "-p shows what -j shows");
        ensure!(
            (text.is_empty() || text.ends_with('\n')) && !text.chars().any(is_terminal_control),
            "the text is not fit for a terminal: {text:?}"
        );
        of("txt").check(text)
    }
}

fn is_terminal_control(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
}

/// What goes to stdout and to stderr.
fn written(
    format: Format,
    show: impl FnOnce(&mut Output<'_>) -> Result<()>,
) -> Result<(String, String)> {
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let mut output = Output::new(format, &mut out, &mut errors);
    show(&mut output)?;
    output
        .finish()
        .map_err(|failure| anyhow::anyhow!("{failure:?}"))?;
    Ok((
        String::from_utf8(out).context("stdout")?,
        String::from_utf8(errors).context("stderr")?,
    ))
}

/// Where two texts part, with what is around: documents of one line are long.
fn difference(want: &str, got: &str) -> Option<String> {
    if want == got {
        return None;
    }
    let at = want
        .bytes()
        .zip(got.bytes())
        .position(|(a, b)| a != b)
        .unwrap_or(want.len().min(got.len()));
    let around = |text: &str| {
        let part = text.as_bytes();
        let part = part.get(at.saturating_sub(40)..).unwrap_or_default();
        let part = part.get(..part.len().min(80)).unwrap_or_default();
        format!("{:?}", String::from_utf8_lossy(part))
    };
    Some(format!(
        "byte {at}\n  file: …{}…\n   got: …{}…",
        around(want),
        around(got)
    ))
}

/// Strings of JSON are read back as the bytes they came from.
pub(crate) fn names_keep_their_bytes() -> Result<()> {
    let round = |bytes: &[u8]| -> Result<()> {
        let json = serde_json::to_string(&Text::from(bytes))?;
        let back: Text = serde_json::from_str(&json)?;
        ensure_eq!(back.as_bytes(), bytes, "read back from {json}");
        Ok(())
    };
    for bytes in [
        &b""[..],
        b"plain",
        b"a\\b",
        b"\\",
        b"\x1b[31m",
        b"\xff",
        b"a\\\xff",
        b"\\\\\xff\\",
        b"\\x1b\xff",
        "é\u{202e}".as_bytes(),
        b"\xc3",
    ] {
        round(bytes)?;
    }
    for first in 0..=u8::MAX {
        for second in [0, b'\\', b'x', 0x80, 0xc3, 0xff] {
            round(&[first, second])?;
            round(&[second, first, second])?;
        }
    }
    // these four characters are the one name that cannot be told from a byte
    let json = serde_json::to_string(&Text::from(r"\xff"))?;
    ensure_eq!(serde_json::from_str::<Text>(&json)?.as_bytes(), b"\xff");
    Ok(())
}
