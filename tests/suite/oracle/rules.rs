//! The differences that are meant.
//!
//! Each rule of `tests/oracle/differences.json` names the command lines it is
//! about and what it does to the two outputs before they are compared, as
//! narrowly as its reason allows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context as _, Result, bail};
use bpfsys::cmd::object::{LinkKind, PerfEventLink};
use bpfsys::probe::{self, Support};
use bpfsys::uapi::perf::TYPE_SOFTWARE;
use bpfsys::{KernelVersion, ProgType};
use rbpftool_tests::state::world::World;
use rbpftool_tests::{Output, root};
use serde_json::Value;

use crate::compare::Case;
use crate::json::{self, Edit};

/// In what form a command is asked to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Json,
    Pretty,
}

impl Form {
    pub(crate) const ALL: [Self; 3] = [Self::Text, Self::Json, Self::Pretty];

    pub(crate) fn flag(self) -> Option<&'static str> {
        match self {
            Self::Text => None,
            Self::Json => Some("-j"),
            Self::Pretty => Some("-p"),
        }
    }
}

/// All of them.
pub(crate) struct Rules {
    rules: Vec<Rule>,
    here: Here,
    used: Mutex<BTreeMap<String, usize>>,
}

struct Rule {
    id: String,
    /// Words a command line must have, in this order; `*` is any number of them. One of these.
    commands: Vec<Vec<String>>,
    /// The kernels on which the two differ so.
    kernels: Kernels,
    /// Only in text, or only in JSON.
    form: Option<bool>,
    /// Needed on newer kernels than some: `btf_blobs` has their types.
    only_newer: bool,
    what: What,
}

/// What a rule does.
enum What {
    /// This key of every object is taken out of both.
    DropKey(String),
    /// Lines beginning so are taken out of both.
    DropLine(String),
    /// Each value of this key, and each number after it in text, is made the same.
    Volatile(String),
    /// The order of the elements of this key, or of lines beginning with it, is nothing.
    Set(String),
    /// Words of theirs are changed to ours.
    Replace(Vec<(String, String)>),
    /// Theirs do not know that this helper may not be called, though the kernel says so.
    FalseHelper(String),
    /// Ours says on stderr what begins so, theirs says nothing.
    Remark(String),
    /// Their exit status is this, ours that.
    Status(i32, i32),
    /// Both say an error, each in words of its own.
    ErrorWords,
    /// They say an error on stdout, ours is on stderr.
    ErrorStream,
    /// They print one of these on stdout and fail; ours says the error.
    Usage(Vec<String>),
    /// Their numbers of 32 bits are extended to 64 with ones.
    SignExtended,
    /// They say an error first, `#` being some number, and then the answer.
    FalseError(String),
    /// They name their own process as a holder.
    TheirOwn(String),
    /// Ours says more of objects of this type: these keys, or all lines in text that are not
    /// said of every object.
    OursMore(String, Vec<String>),
    /// Theirs do not know the name of a program without BTF.
    UnknownPrograms,
    /// Theirs have only the name of a struct where ours have its members.
    UnnamedMembers,
    /// The first declaration is missing in theirs, or comes later.
    LostFirst,
    /// Theirs has lines of the first function in all graphs, and counts instructions anew.
    ForeignLines,
    /// Theirs has the key of an object without the object.
    BareDissector,
    /// Ours is a valid document or text where theirs is wrong: ours must hold these words.
    Ours(String),
}

const FILE: &str = "tests/oracle/differences.json";

impl Rules {
    /// Those that are true of the running kernel, and of what was made in it, if anything.
    pub(crate) fn read(world: Option<&World>) -> Result<Self> {
        let text =
            std::fs::read_to_string(root().join(FILE)).with_context(|| format!("read {FILE}"))?;
        let tables: Value = serde_json::from_str(&text).with_context(|| format!("parse {FILE}"))?;
        let list = tables.get("rules").and_then(Value::as_array);
        let mut rules = Vec::new();
        let here = Here::look(world)?;
        for v in list.with_context(|| format!("{FILE}: no rules"))? {
            let rule = Rule::from_json(v).with_context(|| format!("{FILE}: {v}"))?;
            if rule.kernels.have(&here) {
                rules.push(rule);
            }
        }
        Ok(Self {
            rules,
            here,
            used: Mutex::default(),
        })
    }

    /// `None` if the two agree, after the rules that are needed; else the difference.
    pub(crate) fn judge(
        &self,
        case: &Case,
        line: &str,
        form: Form,
        ours: &Output,
        theirs: &Output,
    ) -> Option<String> {
        if ours == theirs {
            return None;
        }
        let (mut a, mut b) = (ours.clone(), theirs.clone());
        if form == Form::Pretty {
            // The layout is compared by itself; the rules know the compact form.
            let flat = json::compact(&a.stdout)?;
            if json::pretty(&flat) != a.stdout {
                return Some(format!("  the layout of\n{}", a.out()));
            }
            a.stdout = flat;
            if let Some(flat) = json::compact(&b.stdout) {
                b.stdout = flat;
            }
        }
        if form == Form::Json {
            for out in [&mut a, &mut b] {
                out.stdout = out.stdout.trim_ascii_end().to_vec();
            }
        }
        let mut used = Vec::new();
        let hidden = !case.holders || self.here.holders_are_hidden;
        for rule in self.rules.iter().filter(|r| r.applies(line, form)) {
            if a == b {
                break;
            }
            if rule.kernels.hidden_holders && !hidden {
                continue;
            }
            let before = (a.clone(), b.clone());
            rule.what.apply(form, &mut a, &mut b);
            // Where the reference was not let look for holders, nothing is proved.
            let proved = case.holders || !rule.kernels.hidden_holders;
            if proved && (&a, &b) != (&before.0, &before.1) {
                used.push(rule.id.clone());
            }
        }
        if a == b {
            if let Ok(mut all) = self.used.lock() {
                for id in used {
                    *all.entry(id).or_default() += 1;
                }
            }
            return None;
        }
        Some(difference(&a, &b))
    }

    /// The ids of rules for this kernel that changed nothing.
    pub(crate) fn unused(&self) -> Vec<String> {
        let Ok(used) = self.used.lock() else {
            return Vec::new();
        };
        self.rules
            .iter()
            .filter(|r| !r.kernels.hidden_holders || self.here.holders_are_hidden)
            .filter(|r| !used.contains_key(&r.id) && !r.only_newer)
            .map(|r| r.id.clone())
            .collect()
    }
}

/// What is known of the running kernel.
pub(crate) struct Here {
    version: KernelVersion,
    /// bpftool compares addresses of data symbols, which need `CONFIG_KALLSYMS_ALL`.
    pub(crate) holders_are_hidden: bool,
    /// The link of a clock says another type of event than it was made with.
    clocks_are_renumbered: bool,
    a_module_has_btf: bool,
    /// A set of operations could be made.
    has_struct_ops: bool,
    /// Programs that run by a trampoline are forbidden, others of their types are not.
    no_trampolines: bool,
}

impl Here {
    fn look(world: Option<&World>) -> Result<Self> {
        let symbols = std::fs::read("/proc/kallsyms").context("read /proc/kallsyms")?;
        let data = b" bpf_prog_fops\n";
        Ok(Self {
            version: KernelVersion::running().context("ask for the kernel's version")?,
            holders_are_hidden: !symbols.windows(data.len()).any(|w| w == data),
            clocks_are_renumbered: world.map_or(Ok(false), clocks_are_renumbered)?,
            a_module_has_btf: Path::new("/sys/kernel/btf/veth").exists(),
            no_trampolines: probe::prog_type(ProgType::TRACING).is_yes()
                && matches!(probe::prog_type(ProgType::LSM), Support::Unknown(_)),
            has_struct_ops: world.is_some_and(|w| w.maps.iter().any(|m| m.label == "struct_ops")),
        })
    }
}

fn clocks_are_renumbered(world: &World) -> Result<bool> {
    for held in &world.links {
        if let LinkKind::PerfEvent(PerfEventLink::Event { type_, .. }) = held.link.info()?.kind {
            return Ok(type_ != TYPE_SOFTWARE);
        }
    }
    Ok(false)
}

/// Some kernels.
#[derive(Debug, Default)]
struct Kernels {
    /// From this version on.
    since: Option<KernelVersion>,
    /// Up to this version, but not with it.
    before: Option<KernelVersion>,
    /// Only where [`Here::holders_are_hidden`], or the reference was not let look for them.
    hidden_holders: bool,
    /// Only where they are not hidden.
    shown_holders: bool,
    /// Only where a clock is [`Here::clocks_are_renumbered`].
    clocks: bool,
    /// Only where [`Here::a_module_has_btf`].
    modules: bool,
    /// Only where [`Here::has_struct_ops`].
    struct_ops: bool,
    /// Only where there are [`Here::no_trampolines`].
    no_trampolines: bool,
}

impl Kernels {
    fn from_json(v: &Value) -> Result<Self> {
        let version = |key: &str| -> Result<Option<KernelVersion>> {
            let Some(v) = v.get(key) else { return Ok(None) };
            let parsed = v.as_str().and_then(KernelVersion::parse);
            Ok(Some(
                parsed.with_context(|| format!("'{key}' is no version"))?,
            ))
        };
        let mut kernels = Self {
            since: version("since")?,
            before: version("before")?,
            ..Self::default()
        };
        match v.get("when").and_then(Value::as_str) {
            None => {}
            Some("holders are hidden") => kernels.hidden_holders = true,
            Some("holders are shown") => kernels.shown_holders = true,
            Some("clocks are renumbered") => kernels.clocks = true,
            Some("a module has BTF") => kernels.modules = true,
            Some("there are struct_ops") => kernels.struct_ops = true,
            Some("trampolines are forbidden") => kernels.no_trampolines = true,
            Some(other) => bail!("'{other}' is nothing that can be known of a kernel"),
        }
        Ok(kernels)
    }

    fn have(&self, here: &Here) -> bool {
        self.since.is_none_or(|v| here.version >= v)
            && self.before.is_none_or(|v| here.version < v)
            && (!self.shown_holders || !here.holders_are_hidden)
            && (!self.clocks || here.clocks_are_renumbered)
            && (!self.modules || here.a_module_has_btf)
            && (!self.struct_ops || here.has_struct_ops)
            && (!self.no_trampolines || here.no_trampolines)
    }
}

const COMMANDS: &str = "tests/oracle/commands.json";

/// The commands that are said to be the same on this kernel and that no case runs; `more` are
/// lines that are compared in another way.
pub(crate) fn not_compared(cases: &[Case], more: &[String]) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root().join(COMMANDS))
        .with_context(|| format!("read {COMMANDS}"))?;
    let rows: Vec<Value> =
        serde_json::from_str(&text).with_context(|| format!("parse {COMMANDS}"))?;
    let lines: Vec<Vec<String>> = cases
        .iter()
        .flat_map(|c| &c.lines)
        .map(|l| l.iter().map(|w| w.to_string_lossy().into_owned()).collect())
        .chain(
            more.iter()
                .map(|l| l.split(' ').map(str::to_owned).collect()),
        )
        .collect();
    let running = KernelVersion::running().context("ask for the kernel's version")?;
    let mut patterns = Vec::new();
    for row in &rows {
        let here = Kernels::from_json(row)?.since.is_none_or(|v| running >= v);
        if let Some(pattern) = row.get("compared").and_then(Value::as_str)
            && here
        {
            patterns.push(pattern);
        }
    }
    Ok(patterns
        .into_iter()
        .filter(|pattern| {
            let pattern: Vec<&str> = pattern.split(' ').collect();
            !lines.iter().any(|l| {
                let words: Vec<&str> = l.iter().map(String::as_str).collect();
                matches(&pattern, &words)
            })
        })
        .map(str::to_owned)
        .collect())
}

impl Rule {
    fn from_json(v: &Value) -> Result<Self> {
        let text = |key: &str| v.get(key).and_then(Value::as_str).map(str::to_owned);
        let number = |key: &str| -> Option<i32> { v.get(key)?.as_i64()?.try_into().ok() };
        for key in ["id", "bpftool", "ours", "why"] {
            text(key).with_context(|| format!("'{key}' is missing"))?;
        }
        let split = |v: &Value| -> Option<Vec<String>> {
            Some(v.as_str()?.split(' ').map(str::to_owned).collect())
        };
        let commands = match v.get("command") {
            Some(Value::Array(list)) => list.iter().map(split).collect(),
            Some(one) => split(one).map(|one| vec![one]),
            None => None,
        };
        let what = if let Some(key) = text("drop_key") {
            What::DropKey(key)
        } else if let Some(start) = text("drop_line") {
            What::DropLine(start)
        } else if let Some(key) = text("volatile") {
            What::Volatile(key)
        } else if let (Some(from), Some(to)) = (text("replace"), text("with")) {
            What::Replace(vec![(from, to)])
        } else if let Some(pairs) = v.get("replace").and_then(Value::as_object) {
            let pairs = pairs.iter().map(|(from, to)| {
                let to = to.as_str().context("a replacement is no text")?;
                Ok((from.clone(), to.to_owned()))
            });
            What::Replace(pairs.collect::<Result<_>>()?)
        } else if let Some(name) = text("false_helper") {
            What::FalseHelper(name)
        } else if let Some(start) = text("remark") {
            What::Remark(start)
        } else if let (Some(theirs), Some(ours)) = (number("their_status"), number("our_status")) {
            What::Status(theirs, ours)
        } else if let Some(key) = text("set") {
            What::Set(key)
        } else if v.get("error_words").is_some() {
            What::ErrorWords
        } else if v.get("error_stream").is_some() {
            What::ErrorStream
        } else if let Some(list) = v.get("usage").and_then(Value::as_array) {
            What::Usage(
                list.iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect(),
            )
        } else if v.get("sign_extended").is_some() {
            What::SignExtended
        } else if let (Some(kind), Some(keys)) =
            (text("type"), v.get("ours_more").and_then(Value::as_array))
        {
            let keys = keys.iter().filter_map(Value::as_str).map(str::to_owned);
            What::OursMore(kind, keys.collect())
        } else if let Some(error) = text("false_error") {
            What::FalseError(error)
        } else if let Some(name) = text("their_own_process") {
            What::TheirOwn(name)
        } else if v.get("unknown_programs").is_some() {
            What::UnknownPrograms
        } else if v.get("unnamed_members").is_some() {
            What::UnnamedMembers
        } else if v.get("lost_first").is_some() {
            What::LostFirst
        } else if v.get("foreign_lines").is_some() {
            What::ForeignLines
        } else if v.get("bare_dissector").is_some() {
            What::BareDissector
        } else if let Some(words) = text("ours_has") {
            What::Ours(words)
        } else {
            bail!("it does nothing")
        };
        Ok(Self {
            id: text("id").unwrap_or_default(),
            commands: commands.context("'command' is no command line and no list of them")?,
            kernels: Kernels::from_json(v)?,
            form: match text("form").as_deref() {
                None => None,
                Some("text") => Some(false),
                Some("json") => Some(true),
                Some(other) => bail!("'{other}' is no form"),
            },
            only_newer: v.get("only_newer").is_some(),
            what,
        })
    }

    fn applies(&self, line: &str, form: Form) -> bool {
        let words: Vec<&str> = line.split(' ').collect();
        self.form.is_none_or(|json| json == (form != Form::Text))
            && self.commands.iter().any(|command| {
                let pattern: Vec<&str> = command.iter().map(String::as_str).collect();
                matches(&pattern, &words)
            })
    }
}

fn matches(pattern: &[&str], words: &[&str]) -> bool {
    match (pattern.split_first(), words.split_first()) {
        (None, None) => true,
        (Some((&"*", rest)), None) => matches(rest, words),
        (Some((&"*", rest)), Some((_, tail))) => matches(rest, words) || matches(pattern, tail),
        (Some((p, rest)), Some((w, tail))) => p == w && matches(rest, tail),
        _ => false,
    }
}

impl What {
    fn apply(&self, form: Form, ours: &mut Output, theirs: &mut Output) {
        let text = form == Form::Text;
        match self {
            Self::DropKey(key) if !text => rewrite(ours, theirs, key, Edit::Drop),
            Self::Volatile(key) if !text => rewrite(ours, theirs, key, Edit::Null),
            Self::Set(key) if !text => rewrite(ours, theirs, key, Edit::Sort),
            Self::DropKey(_) => {}
            Self::Volatile(word) => {
                for out in [ours, theirs] {
                    out.stdout = blur(&out.out(), word).into_bytes();
                }
            }
            Self::Set(word) => {
                for out in [ours, theirs] {
                    out.stdout = in_order(&out.out(), word).into_bytes();
                }
            }
            Self::DropLine(start) => {
                for out in [ours, theirs] {
                    let text = out.out();
                    let kept = text.split_inclusive('\n').filter_map(|line| {
                        if !line.starts_with(start.as_str()) {
                            Some(line)
                        } else if line.ends_with("  frozen\n") {
                            // `btf_id` shares its line with this.
                            Some("\tfrozen\n")
                        } else {
                            None
                        }
                    });
                    out.stdout = kept.collect::<String>().into_bytes();
                }
            }
            Self::Replace(pairs) => {
                for (from, to) in pairs {
                    theirs.stdout = theirs.out().replace(from, to).into_bytes();
                    theirs.stderr = theirs.err().replace(from, to).into_bytes();
                }
            }
            Self::FalseHelper(name) => {
                theirs.stdout = without_helper(&theirs.out(), &ours.out(), name).into_bytes();
            }
            Self::Remark(start) => {
                let said = ours.err();
                let kept = said.split_inclusive('\n').filter(|l| !l.starts_with(start));
                ours.stderr = kept.collect::<String>().into_bytes();
            }
            Self::Status(their, our) => {
                if (theirs.status, ours.status) == (*their, *our) {
                    theirs.status = *our;
                }
            }
            Self::ErrorWords => {
                if let (Some(_), Some(_)) = (error(form, ours), error(form, theirs)) {
                    theirs.stdout.clone_from(&ours.stdout);
                    theirs.stderr.clone_from(&ours.stderr);
                }
            }
            Self::ErrorStream => {
                if text && theirs.out().starts_with("Error: ") && theirs.stderr.is_empty() {
                    std::mem::swap(&mut theirs.stdout, &mut theirs.stderr);
                }
            }
            Self::Usage(said) => {
                let out = theirs.out();
                if said.iter().any(|s| s == out.trim())
                    && error(form, ours).is_some()
                    && ours.status != 0
                {
                    theirs.stdout.clone_from(&ours.stdout);
                    theirs.stderr.clone_from(&ours.stderr);
                }
            }
            Self::SignExtended => theirs.stdout = shortened(&theirs.out()).into_bytes(),
            Self::FalseError(error) => {
                theirs.stderr = without(&theirs.err(), &format!("Error: {error}\n")).into_bytes();
                for around in [
                    format!("{{\"error\":\"{error}\"}},"),
                    format!("{{\n    \"error\": \"{error}\"\n}},"),
                ] {
                    theirs.stdout = without(&theirs.out(), &around).into_bytes();
                }
                // Only now it is JSON.
                if let (Form::Pretty, Some(flat)) = (form, json::compact(&theirs.stdout)) {
                    theirs.stdout = flat;
                }
            }
            Self::TheirOwn(name) => {
                theirs.stdout = without_holder(&theirs.out(), name, text).into_bytes();
            }
            Self::OursMore(kind, keys) if text => {
                if keys.iter().all(|key| ours.out().contains(key.as_str())) {
                    ours.stdout = without_details(&ours.out(), kind).into_bytes();
                }
            }
            Self::OursMore(kind, keys) => {
                for key in keys {
                    if let Some(less) = json::drop_of(&ours.stdout, kind, key) {
                        ours.stdout = less;
                    }
                }
            }
            Self::UnknownPrograms => {
                theirs.stdout = with_names(&theirs.out(), &ours.out()).into_bytes();
            }
            Self::UnnamedMembers => {
                ours.stdout = without_members(&ours.out(), &theirs.out()).into_bytes();
            }
            Self::LostFirst => {
                if let Some(rest) = without_extra(&ours.out(), &theirs.out()) {
                    ours.stdout = rest.into_bytes();
                }
            }
            Self::ForeignLines => {
                for out in [ours, theirs] {
                    out.stdout = without_foreign_lines(&out.out()).into_bytes();
                }
            }
            Self::BareDissector => {
                if let Some(whole) = with_object(&theirs.out()) {
                    theirs.stdout = match form {
                        Form::Pretty => json::compact(whole.as_bytes()).unwrap_or_default(),
                        _ => whole.into_bytes(),
                    };
                }
            }
            Self::Ours(words) => {
                if ours.out().contains(words.as_str()) {
                    theirs.stdout.clone_from(&ours.stdout);
                    theirs.stderr.clone_from(&ours.stderr);
                }
            }
        }
    }
}

/// A graph without source lines and numbers of instructions behind the first function.
fn without_foreign_lines(graph: &str) -> String {
    let mut first = true;
    let mut kept = String::with_capacity(graph.len());
    for line in graph.split_inclusive('\n') {
        if line.starts_with("subgraph ") {
            first = line.contains("cluster_0");
        }
        let number = |c: char| c.is_ascii_digit() || c == '|' || c == ' ';
        if first {
            kept.push_str(line);
        } else if let Some((_, insn)) = line.split_once(": ").filter(|(n, _)| n.chars().all(number))
        {
            kept.push_str(insn);
        } else if !line.starts_with("; ") {
            kept.push_str(line);
        }
    }
    kept
}

/// The document with an object around the only member of the list of flow dissectors.
fn with_object(text: &str) -> Option<String> {
    let (before, rest) = text.split_once("\"flow_dissector\":")?;
    let (blanks, rest) = rest.split_once('[')?;
    let (member, after) = rest.split_once(']')?;
    let bare = blanks.trim().is_empty() && member.trim_start().starts_with("\"id\":");
    bare.then(|| format!("{before}\"flow_dissector\":[{{{member}}}]{after}"))
}

/// The error an output ends with, if that is all there is.
fn error(form: Form, out: &Output) -> Option<String> {
    match form {
        Form::Text if out.stdout.is_empty() => out.err().strip_prefix("Error: ").map(str::to_owned),
        Form::Text => None,
        // The reference sometimes says two, one after the other.
        _ => {
            let flat: String = out.out().split_whitespace().collect();
            flat.strip_prefix("{\"error\":").map(str::to_owned)
        }
    }
}

/// `ours` with `struct name;` for each struct without a name where that is in `theirs`.
fn without_members(ours: &str, theirs: &str) -> String {
    let mut theirs = theirs.split_inclusive('\n');
    let mut lines = ours.split_inclusive('\n');
    let mut out = String::new();
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start_matches('\t').len();
        let (tabs, opening) = line.split_at(indent);
        let name = match (theirs.next(), opening.strip_suffix("{\n")) {
            (Some(other), Some(keyword)) if indent > 0 && other != line => other
                .strip_prefix(tabs)
                .and_then(|other| other.strip_prefix(keyword)?.strip_suffix(";\n"))
                .filter(|name| !name.contains(|c: char| c != '_' && !c.is_alphanumeric())),
            _ => None,
        };
        let Some(name) = name else {
            out.push_str(line);
            continue;
        };
        let (word, end) = (opening.trim_end_matches("{\n"), format!("{tabs}}}"));
        lines.find(|line| line.starts_with(&end));
        out.push_str(&format!("{tabs}{word}{name};\n"));
    }
    out
}

/// `theirs` with the names that `ours` has for the programs it does not know.
fn with_names(theirs: &str, ours: &str) -> String {
    const UNKNOWN: &str = "<unknown_prog_name>";
    let mut parts = theirs.split(UNKNOWN);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find('"').unwrap_or(part.len());
        let id = part.get(..end).unwrap_or_default();
        let name = ours
            .find(&format!("{id}\""))
            .and_then(|at| ours.get(..at)?.rsplit(' ').next());
        out.push_str(name.filter(|name| !name.is_empty()).unwrap_or(UNKNOWN));
        out.push_str(part);
    }
    out
}

/// `ours` with the first declaration that is not in its place in `theirs` where it is there: it
/// comes when it is needed, or not at all.
fn without_extra(ours: &str, theirs: &str) -> Option<String> {
    const BETWEEN: &str = "\n\n";
    let mut declarations: Vec<&str> = ours.split(BETWEEN).collect();
    let theirs: Vec<&str> = theirs.split(BETWEEN).collect();
    let extra = (0..theirs.len()).find(|n| declarations.get(*n) != theirs.get(*n))?;
    let first = declarations.remove(extra);
    if declarations.len() < theirs.len() {
        let place = theirs.iter().position(|other| *other == first)?;
        declarations.insert(place, first);
    }
    Some(declarations.join(BETWEEN))
}

/// `theirs` without a helper where `ours` says that it may not be called: `\n\t- NAME`,
/// `"NAME"`, `HELPER_NAME 1`.
fn without_helper(theirs: &str, ours: &str, name: &str) -> String {
    let (line, element) = (format!("\t- {name}"), format!("\"{name}\""));
    let ends = [format!("HELPER_{name} 1"), format!("HELPER_{name} 0")];
    // text: a line of ours, for each of theirs that is not to go
    let mut known = ours.split('\n').peekable();
    let mut out = Vec::new();
    for their in theirs.split('\n') {
        let our = known.peek().copied().unwrap_or_default();
        if their == line && our != line {
            continue;
        }
        known.next();
        if their.ends_with(&ends[0]) && our.ends_with(&ends[1]) {
            out.push(our.to_owned());
        } else if their.contains(&element) && !our.is_empty() {
            out.push(without_element(their, our, &element));
        } else {
            out.push(their.to_owned());
        }
    }
    out.join("\n")
}

/// The lists of a JSON document without `element` where it is not in the same list of `ours`.
fn without_element(theirs: &str, ours: &str, element: &str) -> String {
    let mut ours = ours.split('[').skip(1);
    let mut lists = theirs.split('[');
    let mut out = lists.next().unwrap_or_default().to_owned();
    for list in lists {
        let our = ours.next().and_then(|l| l.split(']').next());
        out.push('[');
        let has = |list: &str| list.contains(element);
        match list.split_once(']') {
            Some((their, rest)) if has(their) && our.is_some_and(|our| !has(our)) => {
                let kept: Vec<&str> = their.split(',').filter(|e| *e != element).collect();
                out.push_str(&format!("{}]{rest}", kept.join(",")));
            }
            _ => out.push_str(list),
        }
    }
    out
}

/// In the enumerations of 32 bits, each number whose upper 33 bits are all
/// ones loses the upper 32.
fn shortened(text: &str) -> String {
    let mut parts = text.split("\"kind\":");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("\"kind\":");
        if part.starts_with("\"ENUM\"") {
            shorten_numbers(part, &mut out);
        } else {
            out.push_str(part);
        }
    }
    out
}

fn shorten_numbers(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (head, tail) = rest.split_at(at);
        let end = tail
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (digits, tail) = tail.split_at(end);
        out.push_str(head);
        match digits.parse::<u64>() {
            Ok(n) if n >> 31 == 0x1_ffff_ffff => {
                out.push_str(&(n & 0xffff_ffff).to_string());
            }
            _ => out.push_str(digits),
        }
        rest = tail;
    }
    out.push_str(rest);
}

/// Neighbouring lines `\tWORD …`, and the numbers of lists `WORD 1,2`, in order.
fn in_order(text: &str, word: &str) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let start = format!("\t{word} ");
    for run in lines.chunk_by_mut(|a, b| a.starts_with(&start) && b.starts_with(&start)) {
        run.sort();
    }
    let list = format!("  {word} ");
    for line in &mut lines {
        if let Some(at) = line.find(&list) {
            let (head, tail) = line.split_at(at + list.len());
            let end = tail
                .find(|c: char| !c.is_ascii_digit() && c != ',')
                .unwrap_or(tail.len());
            let (numbers, tail) = tail.split_at(end);
            let mut numbers: Vec<&str> = numbers.split(',').collect();
            numbers.sort_by_key(|n| n.parse::<u64>().unwrap_or(u64::MAX));
            *line = format!("{head}{}{tail}", numbers.join(","));
        }
    }
    lines.concat()
}

/// The number after each `word` becomes `N`.
fn blur(text: &str, word: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (head, tail) = rest.split_at(at + word.len());
        out.push_str(head);
        out.push('N');
        rest = tail.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out.push_str(rest);
    out
}

/// Without the first `said`, in which `#` is some number.
fn without(text: &str, said: &str) -> String {
    let (head, tail) = said.split_once('#').unwrap_or((said, ""));
    let Some((before, rest)) = text.split_once(head) else {
        return text.to_owned();
    };
    match rest
        .trim_start_matches(|c: char| c.is_ascii_digit())
        .strip_prefix(tail)
    {
        Some(after) => format!("{before}{after}"),
        None => text.to_owned(),
    }
}

/// Without the holders of this name: `, NAME(1)`, `,{"pid":1,"comm":"NAME"}`.
fn without_holder(text: &str, name: &str, plain: bool) -> String {
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        if !plain {
            let parts: Vec<&str> = line.split("{\"pid\":").collect();
            let own = format!("\"comm\":\"{name}\"}}");
            let mut kept = parts.first().copied().unwrap_or_default().to_owned();
            for part in parts.get(1..).unwrap_or_default() {
                match part.split_once(&own) {
                    Some((number, rest)) if number.ends_with(',') => {
                        kept.push_str(rest.strip_prefix(',').unwrap_or(rest));
                    }
                    _ => {
                        kept.push_str("{\"pid\":");
                        kept.push_str(part);
                    }
                }
            }
            out.push_str(&kept.replace(",]", "]").replace(",\"pids\":[]", ""));
        } else if let Some(list) = line.strip_prefix("\tpids ") {
            let own = format!("{name}(");
            let others: Vec<&str> = list
                .trim_end()
                .split(", ")
                .filter(|holder| !holder.starts_with(&own))
                .collect();
            if !others.is_empty() {
                out.push_str(&format!("\tpids {}\n", others.join(", ")));
            }
        } else {
            out.push_str(line);
        }
    }
    out
}

/// Without the lines below `N: KIND  ` that only objects of this type have.
fn without_details(text: &str, kind: &str) -> String {
    let header = format!(": {kind}  ");
    let mut inside = false;
    let kept = text.split_inclusive('\n').filter(|line| {
        let detail = line.strip_prefix('\t');
        if detail.is_none() {
            inside = line.contains(&header);
        }
        !inside
            || detail.is_none_or(|d| ["pinned ", "pids "].iter().any(|word| d.starts_with(word)))
    });
    kept.collect()
}

/// Edits both documents, if both are JSON.
fn rewrite(ours: &mut Output, theirs: &mut Output, key: &str, how: Edit) {
    if let (Some(a), Some(b)) = (
        json::edit(&ours.stdout, key, how),
        json::edit(&theirs.stdout, key, how),
    ) {
        ours.stdout = a;
        theirs.stdout = b;
    }
}

fn difference(ours: &Output, theirs: &Output) -> String {
    let mut text = String::new();
    if ours.status != theirs.status {
        text.push_str(&format!(
            "  status: ours {}, bpftool's {}\n",
            ours.status, theirs.status
        ));
    }
    for (name, a, b) in [
        ("stdout", ours.out(), theirs.out()),
        ("stderr", ours.err(), theirs.err()),
    ] {
        if a != b {
            text.push_str(&format!("  {name}:\n"));
            let (mut a, mut b) = (a.split('\n'), b.split('\n'));
            let mut shown = 0;
            loop {
                let (x, y) = (a.next(), b.next());
                if x.is_none() && y.is_none() || shown == 5 {
                    break;
                }
                if x != y {
                    shown += 1;
                    let from = parting(x, y);
                    text.push_str(&format!(
                        "    ours    {}\n    bpftool {}\n",
                        cut(x, from),
                        cut(y, from)
                    ));
                }
            }
        }
    }
    text
}

/// A little before the first character that differs.
fn parting(x: Option<&str>, y: Option<&str>) -> usize {
    let same = x
        .unwrap_or_default()
        .chars()
        .zip(y.unwrap_or_default().chars());
    same.take_while(|(a, b)| a == b).count().saturating_sub(60)
}

fn cut(line: Option<&str>, from: usize) -> String {
    match line {
        None => "(nothing)".to_owned(),
        Some(l) if l.chars().count() <= 200 => format!("{l:?}"),
        Some(l) => format!("…{:?}…", l.chars().skip(from).take(200).collect::<String>()),
    }
}
