//! The table: what is run, and how much of the other's time it may take.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rbpftool_tests::Private;

use crate::Programs;
use crate::measure::{Job, RUNS, in_turn, told_in_turn};
use crate::objects;
use crate::state::{self, Holder};
use crate::symbol;
use crate::types;

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
    table.cold_start()?;
    table.features()?;
    table.machine_code()?;
    table.listing(private)?;
    table.hash_dump()?;
    table.percpu_dump()?;
    table.btf_dump()?;
    table.lookup(private)?;
    table.dedup(private)?;
    table.relocations(private)?;
    table.symbols(private)?;
    table.load()?;
    table.planning()?;
    table.ringbuf()?;
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
        let times = in_turn(ours, theirs)?;
        let peaks = (ours.peak()?, theirs.peak()?);
        self.row(work, times, peaks, at_most);
        Ok(peaks.0)
    }

    /// Parts of the work of two programs that say how long they took; the counts they came to.
    fn inside(
        &mut self,
        work: &str,
        (ours, theirs): (&Job, &Job),
        at: usize,
        at_most: f64,
    ) -> Result<(u64, u64)> {
        let (a, b) = told_in_turn(ours, theirs, at)?;
        let peaks = (ours.peak()?, theirs.peak()?);
        self.row(work, (a.took, b.took), peaks, at_most);
        Ok((a.count, b.count))
    }

    fn row(
        &mut self,
        work: &str,
        (a, b): (Duration, Duration),
        (rss_a, rss_b): (u64, u64),
        at_most: f64,
    ) {
        let ratio = a.as_secs_f64() / b.as_secs_f64();
        let ok = ratio <= at_most;
        println!(
            "{work:<34} {:>9.2} {:>9.2} {ratio:>7.3} {:>6} {:>5}  {:>9.1} {:>9.1}",
            ms(a),
            ms(b),
            // A part of another row has no bound of its own.
            match at_most.is_finite() {
                true => format!("1/{:.0}", 1.0 / at_most),
                false => "-".to_owned(),
            },
            match (at_most.is_finite(), ok) {
                (false, _) => "",
                (true, true) => "pass",
                (true, false) => "FAIL",
            },
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

    /// Every list where there is next to nothing to list: what a person waits for.
    fn cold_start(&mut self) -> Result<()> {
        if !self.wants("cold start") {
            return Ok(());
        }
        let nouns = ["prog", "map", "link", "btf", "perf", "net", "struct_ops"];
        for (n, noun) in nouns.into_iter().enumerate() {
            let work = format!("{noun} show, cold start");
            // the reference loads programs for the first four
            let at_most = if n < 4 { 1.0 / 4.0 } else { 1.0 };
            self.same(&work, &[noun, "show"], at_most)?;
        }
        self.same("cgroup tree, cold start", &["cgroup", "tree"], 1.0)?;
        Ok(())
    }

    fn features(&mut self) -> Result<()> {
        if !self.wants("feature probe") {
            return Ok(());
        }
        self.same("feature probe", &["feature", "probe"], 1.0)?;
        self.same("feature probe -j", &["-j", "feature", "probe"], 1.0)?;
        Ok(())
    }

    /// Beside the reference that was built with a disassembler, if it was.
    fn machine_code(&mut self) -> Result<()> {
        if !self.wants("prog dump jited") {
            return Ok(());
        }
        let theirs = self.programs.theirs.with_file_name("bpftool-llvm");
        if !theirs.is_file() {
            println!("prog dump jited: no reference with LLVM (cargo xtask oracle --llvm)");
            return Ok(());
        }
        let prog = state::large_prog()?;
        let id = prog.info()?.id().context("a program without id")?;
        let id = id.to_string();
        for flags in [&[][..], &["-j"]] {
            let args = [flags, &["prog", "dump", "jited", "id", &id]].concat();
            let work = label("prog dump jited", flags, "96,000 insns");
            let ours = Job::new(&self.programs.ours, &args);
            self.pair(&work, &ours, &Job::new(&theirs, &args), 1.0)?;
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

    /// Files in memory: putting them together, taking out duplicates, writing.
    fn dedup(&mut self, private: &Private) -> Result<()> {
        if !self.wants("btf dedup") {
            return Ok(());
        }
        let dir = private.dir().join("objects");
        std::fs::create_dir_all(&dir).context("create a directory of objects")?;
        let mut inputs = vec![
            ("the kernel's BTF, thrice", vec![VMLINUX.into(); 3]),
            ("1,000 small objects", types::objects(&dir, 1000)?),
        ];
        match types::three_kernels() {
            Some(files) => inputs.push(("three kernels' BTF", files.into())),
            None => println!("merge three kernels' BTF: left out, they have not been extracted"),
        }
        let me = std::env::current_exe().context("find this executable")?;
        for (what, files) in inputs {
            let args = ["--dedup".into()].into_iter().chain(files.clone());
            let (ours, theirs) = (Job::new(&me, args), Job::new(&self.programs.dedup_c, files));
            let work = format!("merge {what}");
            let (left, they_left) = self.inside(&work, (&ours, &theirs), 0, 1.0 / 2.0)?;
            self.count("ids left", left, they_left, left <= they_left);
            self.inside(
                "    of that, dedup alone",
                (&ours, &theirs),
                1,
                f64::INFINITY,
            )?;
        }
        Ok(())
    }

    fn relocations(&mut self, private: &Private) -> Result<()> {
        if !self.wants("btf relocations") {
            return Ok(());
        }
        let object = types::hundred_relocations(&self.programs.ours, private.dir())?;
        let me = std::env::current_exe().context("find this executable")?;
        let files = [object, VMLINUX.into()];
        let args = ["--resolve".into()].into_iter().chain(files.clone());
        let (ours, theirs) = (
            Job::new(&me, args),
            Job::new(&self.programs.resolve_c, files),
        );
        for (at, work) in ["100 CO-RE relocations", "... with reading the kernel's BTF"]
            .into_iter()
            .enumerate()
        {
            let (found, they_found) = self.inside(work, (&ours, &theirs), at, 1.0 / 3.0)?;
            self.count("with a value", found, they_found, found == they_found);
        }
        Ok(())
    }

    /// A function by its name, of which only a debugger's table knows.
    fn symbols(&mut self, private: &Private) -> Result<()> {
        if !self.wants("symbol look-up") {
            return Ok(());
        }
        let (file, name) = symbol::program(private.dir()).context("make a large program")?;
        let me = std::env::current_exe().context("find this executable")?;
        let ours = [
            "--symbol".into(),
            file.clone().into_os_string(),
            name.clone().into(),
        ];
        let (ours, theirs) = (
            Job::new(&me, ours),
            Job::new(
                &self.programs.symbol_c,
                [file.into_os_string(), name.into()],
            ),
        );
        let work = "a function in 100 MiB";
        let (offset, their_offset) = self.inside(work, (&ours, &theirs), 0, 1.0)?;
        self.count("at offset", offset, their_offset, offset == their_offset);
        Ok(())
    }

    /// Whole processes that open and load an object.
    fn load(&mut self) -> Result<()> {
        if !self.wants("load") {
            return Ok(());
        }
        for (object, at_most) in objects::to_load(&self.programs.fixtures)? {
            let ours = Job::new(&self.programs.load, [&object]);
            let theirs = Job::new(&self.programs.load_c, [&object]);
            if let Err(error) = theirs.once() {
                println!("load {}: left out: {error:#}", objects::name(&object));
                continue;
            }
            let work = format!("load {}", objects::name(&object));
            let times = in_turn(&ours, &theirs)?;
            let peaks = (ours.peak()?, theirs.peak()?);
            self.row(&work, times, peaks, at_most);
            self.bound(&format!("{work}: peak memory"), peaks.0, 2 * peaks.1);
        }
        Ok(())
    }

    /// How long it takes to find out what to ask of a kernel, without one. There is nothing to
    /// compare with: libbpf loads as it goes.
    fn planning(&self) -> Result<()> {
        if !self.wants("plan") {
            return Ok(());
        }
        println!("\nplanning for the kernel's BTF, without a kernel; the shortest of 20:");
        for object in objects::largest(&self.programs.fixtures, 10)? {
            let args = [object.as_os_str(), VMLINUX.as_ref(), "20".as_ref()];
            let said = Job::new(&self.programs.plan, args).says()?;
            println!("    {}: {}", objects::name(&object), said.trim());
        }
        Ok(())
    }

    /// Records of a ring buffer that is full each time, by one reader.
    fn ringbuf(&mut self) -> Result<()> {
        if !self.wants("ring buffer drain") {
            return Ok(());
        }
        let me = std::env::current_exe().context("find this executable")?;
        let object = rbpftool_tests::fixture("bpf/consume.bpf.o");
        let words = [object.into_os_string(), "2000000".into()];
        let args = ["--ringbuf".into()].into_iter().chain(words.clone());
        let (ours, theirs) = (
            Job::new(&me, args),
            Job::new(&self.programs.ringbuf_c, words),
        );
        let work = "ring buffer drain, 2,000,000 records";
        let (read, they_read) = self.inside(work, (&ours, &theirs), 0, 1.0)?;
        self.count("records", read, they_read, read == they_read);
        Ok(())
    }

    fn count(&mut self, what: &str, ours: u64, theirs: u64, ok: bool) {
        let verdict = if ok { "pass" } else { "FAIL" };
        println!("    {what}: ours {ours}, theirs {theirs}: {verdict}");
        if !ok {
            self.missed
                .push(format!("{what}: ours {ours}, theirs {theirs}"));
        }
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
