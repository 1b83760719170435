//! The table: what is run, and how much of the other's time it may take.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rbpftool_tests::Private;

use crate::Programs;
use crate::measure::{Job, RUNS, in_turn};
use crate::state::{self, Holder};

/// Collects the verdicts.
struct Table<'a> {
    programs: &'a Programs,
    filter: &'a str,
    missed: Vec<String>,
}

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
const MIB: f64 = 1024.0;

pub(crate) fn run(programs: &Programs, private: &Private, filter: &str) -> Result<bool> {
    let mut table = Table {
        programs,
        filter,
        missed: Vec::new(),
    };
    println!("medians of {RUNS}, in turn, both to /dev/null; ratio = ours / bpftool's\n");
    println!(
        "{:<34} {:>9} {:>9} {:>7} {:>6} {:>5}  {:>9} {:>9}",
        "work", "ours ms", "theirs ms", "ratio", "max", "", "ours MiB", "theirs MiB"
    );
    table.version()?;
    table.listing(private)?;
    table.hash_dump()?;
    table.percpu_dump()?;
    table.btf_dump()?;
    table.lookup(private)?;
    if table.missed.is_empty() {
        println!("\nevery bound is kept");
    } else {
        println!("\nmissed:");
        table.missed.iter().for_each(|m| println!("  {m}"));
    }
    Ok(table.missed.is_empty())
}

impl Table<'_> {
    fn wants(&self, group: &str) -> bool {
        group.contains(self.filter)
    }

    /// Both tools with the same arguments; true peak memory of ours in KiB.
    fn same(&mut self, work: &str, args: &[&str], at_most: f64) -> Result<u64> {
        let ours = Job::new(&self.programs.ours, args);
        let theirs = Job::new(&self.programs.theirs, args);
        self.pair(work, &ours, &theirs, at_most)
    }

    fn pair(&mut self, work: &str, ours: &Job, theirs: &Job, at_most: f64) -> Result<u64> {
        let (a, b) = in_turn(ours, theirs)?;
        let (rss_a, rss_b) = (ours.peak()?, theirs.peak()?);
        let ratio = a.as_secs_f64() / b.as_secs_f64();
        let ok = ratio <= at_most;
        println!(
            "{work:<34} {:>9.2} {:>9.2} {ratio:>7.3} {:>6} {:>5}  {:>9.1} {:>9.1}",
            ms(a),
            ms(b),
            format!("1/{:.0}", 1.0 / at_most),
            if ok { "pass" } else { "FAIL" },
            rss_a as f64 / MIB,
            rss_b as f64 / MIB,
        );
        if !ok {
            self.missed.push(format!(
                "{work}: {:.2} ms is 1/{:.1} of {:.2} ms, not 1/{:.0}",
                ms(a),
                1.0 / ratio,
                ms(b),
                1.0 / at_most
            ));
        }
        Ok(rss_a)
    }

    fn bound(&mut self, what: &str, kib: u64, at_most: u64) {
        let ok = kib <= at_most;
        println!(
            "    {what}: {:.2} MiB, at most {:.2}: {}",
            kib as f64 / MIB,
            at_most as f64 / MIB,
            if ok { "pass" } else { "FAIL" }
        );
        if !ok {
            self.missed
                .push(format!("{what}: {kib} KiB, at most {at_most}"));
        }
    }

    fn version(&mut self) -> Result<()> {
        if self.wants("version") {
            self.same("version", &["version"], 1.0 / 2.0)?;
        }
        Ok(())
    }

    fn listing(&mut self, private: &Private) -> Result<()> {
        if !self.wants("show") {
            return Ok(());
        }
        let crowd =
            Holder::start(&private.bpffs(), 1000).context("make 1,000 programs and maps")?;
        for noun in ["prog", "map"] {
            for flags in [&[][..], &["-j"], &["-f"]] {
                let args = [flags, &[noun, "show"]].concat();
                let work = label(&format!("{noun} show"), flags, "(1,000 + 1,000)");
                let peak = self.same(&work, &args, 1.0 / 4.0)?;
                self.bound(&format!("{work}: peak memory"), peak, 4096);
            }
        }
        drop(crowd);
        Ok(())
    }

    fn hash_dump(&mut self) -> Result<()> {
        if !self.wants("map dump hash") {
            return Ok(());
        }
        let small = state::hash(1_000)?;
        let large = state::hash(1_000_000)?;
        let (small_id, id) = (
            state::id(&small)?.to_string(),
            state::id(&large)?.to_string(),
        );
        for flags in [&[][..], &["-j"], &["-p"]] {
            let args = |id| [flags, &["map", "dump", "id", id]].concat();
            let work = label("map dump", flags, "1,000,000 hash");
            let peak = self.same(&work, &args(&id), 1.0 / 6.0)?;
            let few = Job::new(&self.programs.ours, args(&small_id)).peak()?;
            self.bound(
                &format!("{work}: memory above that for 1,000"),
                peak.saturating_sub(few),
                1024,
            );
        }
        Ok(())
    }

    fn percpu_dump(&mut self) -> Result<()> {
        if !self.wants("map dump percpu") {
            return Ok(());
        }
        let map = state::percpu_hash(65_536)?;
        let id = state::id(&map)?.to_string();
        for flags in [&[][..], &["-j"]] {
            let args = [flags, &["map", "dump", "id", &id]].concat();
            let work = label("map dump", flags, "65,536 per-CPU");
            self.same(&work, &args, 1.0 / 5.0)?;
        }
        Ok(())
    }

    fn btf_dump(&mut self) -> Result<()> {
        if !self.wants("btf dump") {
            return Ok(());
        }
        let args = ["btf", "dump", "file", VMLINUX, "format", "raw"];
        self.same("btf dump format raw", &args, 1.0 / 4.0)?;
        self.same(
            "btf dump -j",
            &["-j", "btf", "dump", "file", VMLINUX],
            1.0 / 4.0,
        )?;
        let args = ["btf", "dump", "file", VMLINUX, "format", "c", "unsorted"];
        self.same("btf dump format c", &args[..6], 1.0 / 3.0)?;
        self.same("btf dump format c unsorted", &args, 1.0 / 3.0)?;
        Ok(())
    }

    fn lookup(&mut self, private: &Private) -> Result<()> {
        if !self.wants("btf lookup") {
            return Ok(());
        }
        let small = private.dir().join("small.btf");
        let mut forge = rbpftool_tests::forge::BtfForge::new();
        forge.int("int", 4, 1);
        std::fs::write(&small, forge.bytes()).context("write a small BTF")?;
        let names = &self.programs.names;
        let ours = Job::new(&self.programs.lookup, [VMLINUX.as_ref(), names.as_path()]);
        let theirs = Job::new(&self.programs.lookup_c, [VMLINUX.as_ref(), names.as_path()]);
        let bare = Job::new(&self.programs.lookup, [small.as_path(), names.as_path()]).peak()?;
        let peak = self.pair(
            "100 look-ups in the kernel's BTF",
            &ours,
            &theirs,
            1.0 / 5.0,
        )?;
        let blob = std::fs::metadata(VMLINUX)
            .context("the size of the kernel's BTF")?
            .len()
            / 1024;
        self.bound(
            "look-ups: memory beyond the blob",
            peak.saturating_sub(bare + blob),
            2048,
        );
        Ok(())
    }
}

/// A command, its flags, and what it is about, as a row is called.
fn label(command: &str, flags: &[&str], about: &str) -> String {
    let mut words = vec![command];
    words.extend(flags);
    words.push(about);
    words.join(" ")
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
