//! `link create` on user space: seen to run, shown by `link show`, gone with its pin.

use anyhow::{Context as _, Result};
use bpfsys::{AttachType, KernelVersion, LinkFd, LinkId, ProgFd};
use rbpftool_tests::{Private, ends, ensure_eq, link_create, skip};
use serde_json::{Value, json};

use crate::Bench;
use crate::counter::Counter;
use crate::programs::{Running, programs};
use crate::static_probes::Object;

/// What a link is on, the attach type of its program, since when there are such, its type, and how
/// often it fires each time that the program works.
type Row = (
    &'static str,
    Option<AttachType>,
    (u16, u16),
    &'static str,
    u64,
);

const MULTI: Option<AttachType> = Some(AttachType::TRACE_UPROBE_MULTI);
const SESSION: Option<AttachType> = Some(AttachType::TRACE_UPROBE_SESSION);

const ROWS: [Row; 7] = [
    ("uprobe FILE work_one", None, (5, 15), "perf_event", 1),
    (
        "uprobe FILE work_two return",
        None,
        (5, 15),
        "perf_event",
        1,
    ),
    (
        "uprobe FILE work_one pid PID",
        None,
        (5, 15),
        "perf_event",
        1,
    ),
    ("uprobe_multi FILE work_*", MULTI, (6, 6), "uprobe_multi", 3),
    (
        "uprobe_multi FILE work_one return",
        MULTI,
        (6, 6),
        "uprobe_multi",
        1,
    ),
    (
        "uprobe_multi FILE work_* pid PID",
        MULTI,
        (6, 6),
        "uprobe_multi",
        3,
    ),
    (
        "uprobe_multi FILE work_* session",
        SESSION,
        (6, 13),
        "uprobe_multi",
        6,
    ),
];

pub(crate) fn add(bench: &mut Bench) {
    for row in ROWS {
        let name = row.0.replace("FILE ", "").replace(' ', "_");
        bench.one(&format!("link_create::{name}"), move |private| {
            of_functions(private, row)
        });
    }
    bench.one("link_create::usdt", of_static_probes);
}

fn of_functions(private: &Private, (place, attach, since, kind, each): Row) -> Result<()> {
    let counter = Counter::of(attach).map_err(|error| too_old(since, error))?;
    let created = Created::new(private, place, &counter.prog)?;
    let (made, mut running) = created.map_err(|said| too_old(since, anyhow::anyhow!(said)))?;
    ensure_eq!(made.value["type"], json!(kind));
    running.work()?;
    running.work()?;
    ensure_eq!(counter.total()?, 2 * each);
    made.unpin()?;
    ends(|| {
        let before = counter.total()?;
        running.work()?;
        Ok(counter.total()? == before)
    })
}

/// A probe with one place, and one with three.
fn of_static_probes(private: &Private) -> Result<()> {
    // before, there is a link for each place, and none for the whole
    let since = (6, 6);
    for (place, each) in [
        ("usdt FILE app:plain", 1),
        ("usdt FILE app:twice pid PID", 3),
    ] {
        let object = Object::load("usdt")?;
        let created = Created::new(private, place, object.prog("first")?)?;
        let (made, mut running) = created.map_err(|said| too_old(since, anyhow::anyhow!(said)))?;
        running.work()?;
        ensure_eq!(object.seen(0)?.count, each, "{place}");
        made.unpin()?;
        ends(|| {
            let before = object.seen(0)?.count;
            running.work()?;
            Ok(object.seen(0)?.count == before)
        })?;
    }
    Ok(())
}

fn too_old(since: (u16, u16), error: anyhow::Error) -> anyhow::Error {
    match KernelVersion::running() {
        Ok(running) if (running.major, running.minor) < since => {
            skip(format!("needs Linux {}.{}: {error:#}", since.0, since.1))
        }
        _ => error,
    }
}

/// A link that the tool has made and pinned.
struct Created {
    pin: std::path::PathBuf,
    id: LinkId,
    value: Value,
}

impl Created {
    /// Makes it on a program that runs, or says what the tool says.
    fn new(
        private: &Private,
        place: &str,
        prog: &ProgFd,
    ) -> Result<Result<(Self, Running), String>> {
        let path = programs()?.path("pie");
        let running = Running::start(&path, &[])?;
        let place = place
            .replace("FILE", &path.display().to_string())
            .replace("PID", &running.pid().to_string());
        let pin = private.bpffs().join("created");
        let value = match link_create(&place, prog.info()?.id, &pin, "")? {
            Ok(value) => value,
            Err(said) => return Ok(Err(said)),
        };
        let id = value["id"].as_u64().and_then(|id| u32::try_from(id).ok());
        let id = id.and_then(LinkId::new).context("no id")?;
        Ok(Ok((Self { pin, id, value }, running)))
    }

    fn unpin(self) -> Result<()> {
        std::fs::remove_file(&self.pin).context("unpin")?;
        ends(|| Ok(LinkFd::by_id(self.id).is_err()))
    }
}
