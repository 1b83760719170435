//! The words of `prog load`, `prog loadall` and `plan`: what is to be loaded, and what of it is
//! to be changed before.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bpfsys::MapFd;
use bpfsys::uapi::flags::MapFlags;

use crate::command::Context;
use crate::failure::{Failure, Result};
use crate::handle::{MapHandle, ProgHandle};
use crate::words::{Words, parse_number, shown};

/// The levels of the verifier's log are bits; three are known.
const LOG_LEVEL_MAX: u32 = 7;

/// Everything that `prog load` and `prog loadall` are told.
#[derive(Debug)]
pub struct LoadArgs<'a> {
    /// The object file.
    pub object: &'a Path,
    /// Where its program, or all of its programs, are pinned.
    pub path: &'a Path,
    /// What is changed before the load.
    pub edits: Edits<'a>,
    /// Maps to use instead of making them.
    pub maps: Vec<Replacement<'a>>,
    /// The device that programs are for.
    pub device: Option<Device>,
    /// Where maps are pinned.
    pub pinmaps: Option<&'a Path>,
    /// Whether programs are attached, and their links pinned.
    pub autoattach: bool,
    /// What is wanted of the verifier's log.
    pub log: Log<'a>,
}

/// What is changed in an object before anything is made of it.
#[derive(Debug, Default)]
pub struct Edits<'a> {
    /// The type of all programs, as the name of a section.
    pub prog_type: Option<&'a str>,
    /// The programs that are loaded; all, where none is named.
    pub only: Vec<&'a str>,
    /// Variables, and what they are set to.
    pub set: Vec<(&'a str, &'a str)>,
    /// What programs attach to.
    pub target: Option<Target>,
    /// The kernel's types, instead of those of the running one.
    pub kernel_btf: Option<&'a Path>,
    /// The kernel's configuration, instead of that of the running one.
    pub kconfig: Option<&'a Path>,
}

/// What programs attach to, instead of what their sections say.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    /// A function or hook of the kernel.
    Kernel(String),
    /// A function of a loaded program; the one its section names, or the first, where none is
    /// named here.
    Prog(ProgHandle, Option<String>),
}

/// A map that is there already.
#[derive(Debug)]
pub struct Replacement<'a> {
    /// Which map of the object it stands for.
    pub which: MapKey<'a>,
    /// The map.
    pub map: MapFd,
}

/// One of an object's maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapKey<'a> {
    /// By its number.
    Idx(u32),
    /// By its name.
    Name(&'a OsStr),
}

/// A network device, and what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// It runs programs and holds maps.
    Offload(u32),
    /// XDP programs ask it about packets.
    XdpMeta(u32),
}

/// What is wanted of the verifier's log.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Log<'a> {
    /// How much of it.
    pub level: Option<u32>,
    /// Where it goes, if not to standard error.
    pub file: Option<&'a Path>,
}

impl<'a> LoadArgs<'a> {
    /// Reads the words after the command.
    pub fn parse(words: &mut Words<'a>, context: &mut Context<'_, '_>) -> Result<Self> {
        words.require(2)?;
        let mut args = Self {
            object: words.take_path("an object file")?,
            path: words.take_path("a path")?,
            edits: Edits::default(),
            maps: Vec::new(),
            device: None,
            pinmaps: None,
            autoattach: false,
            log: Log::default(),
        };
        while let Some(word) = words.peek() {
            if !args.own(words, context)? && !args.edits.accept(words, KERNEL_BTF)? {
                return Err(Failure::new(format_args!(
                    "expected no more arguments, 'type', 'map', 'offload_dev', 'xdpmeta_dev', \
                     'pinmaps', 'autoattach', 'kernel_btf', 'only', 'set', 'log', 'target' or \
                     'kconfig', got: '{}'?",
                    shown(word)
                )));
            }
        }
        Ok(args)
    }

    /// Takes a keyword that only loading has, with what belongs to it; whether there was one.
    ///
    /// The words of bpftool come first, in its order, so that they are shortened alike.
    fn own(&mut self, words: &mut Words<'a>, context: &mut Context<'_, '_>) -> Result<bool> {
        if words.next_is("type") {
            return Ok(false);
        }
        if words.accept("map") {
            self.maps.push(replacement(words)?);
        } else if words.accept("dev") {
            context
                .output
                .news("Warning: 'dev' is deprecated, use 'offload_dev' or 'xdpmeta_dev'");
            self.device(words, "offload_dev")?;
        } else if words.accept("offload_dev") {
            self.device(words, "offload_dev")?;
        } else if words.accept("xdpmeta_dev") {
            self.device(words, "xdpmeta_dev")?;
        } else if words.accept("pinmaps") {
            words.require(1)?;
            self.pinmaps = Some(words.take_path("a directory")?);
        } else if words.accept("autoattach") {
            self.autoattach = true;
        } else if words.accept("log") {
            words.require(1)?;
            let word = words.take("a level or a file")?;
            self.log.read(word)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn device(&mut self, words: &mut Words<'a>, keyword: &str) -> Result<()> {
        let offload = keyword == "offload_dev";
        match self.device {
            Some(known) if matches!(known, Device::Offload(_)) == offload => {
                return Err(Failure::new(format_args!("{keyword} already specified")));
            }
            Some(_) => {
                return Err(Failure::new(
                    "xdpmeta_dev and offload_dev are mutually exclusive",
                ));
            }
            None => {}
        }
        words.require(1)?;
        let word = words.take("a device")?;
        let index = nix::net::if_::if_nametoindex(word).map_err(|error| {
            let what = format_args!("unrecognized netdevice '{}'", shown(word));
            Failure::because(what, error)
        })?;
        self.device = Some(if offload {
            Device::Offload(index)
        } else {
            Device::XdpMeta(index)
        });
        Ok(())
    }
}

/// How bpftool calls the file of the kernel's types when it loads.
pub const KERNEL_BTF: &str = "kernel_btf";
/// How it is called where there is no running kernel.
pub const BTF: &str = "btf";

impl<'a> Edits<'a> {
    /// Takes a keyword with what belongs to it; whether there was one. `btf` is the keyword of
    /// the kernel's types.
    pub fn accept(&mut self, words: &mut Words<'a>, btf: &'static str) -> Result<bool> {
        if words.accept("type") {
            if self.prog_type.is_some() {
                return Err(Failure::new("program type already specified"));
            }
            words.require(1)?;
            self.prog_type = Some(text(words.take("a type")?, "type")?);
        } else if words.accept(btf) {
            words.require(1)?;
            self.kernel_btf = Some(words.take_path("a file of types")?);
        } else if words.accept("only") {
            words.require(1)?;
            let names = text(words.take("a program")?, "program")?;
            self.only
                .extend(names.split(',').filter(|name| !name.is_empty()));
        } else if words.accept("set") {
            words.require(1)?;
            let word = words.take("VAR=VALUE")?;
            let pair = text(word, "variable")?.split_once('=');
            let (name, value) = pair.filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
                Failure::new(format_args!("expected VAR=VALUE, got: '{}'?", shown(word)))
            })?;
            self.set.push((name, value));
        } else if words.accept("target") {
            if self.target.is_some() {
                return Err(Failure::new("target already specified"));
            }
            words.require(1)?;
            self.target = Some(target(words)?);
        } else if words.accept("kconfig") {
            words.require(1)?;
            self.kconfig = Some(words.take_path("a file")?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

impl<'a> Log<'a> {
    /// Reads a level or a file.
    pub fn read(&mut self, word: &'a OsStr) -> Result<()> {
        let Some(level) = parse_number(word, 0) else {
            if self.file.is_some() {
                return Err(Failure::new("log file already specified"));
            }
            self.file = Some(Path::new(word));
            return Ok(());
        };
        if self.level.is_some() {
            return Err(Failure::new("log level already specified"));
        }
        let level = u32::try_from(level)
            .ok()
            .filter(|level| *level <= LOG_LEVEL_MAX);
        self.level = Some(level.ok_or_else(|| {
            Failure::new(format_args!(
                "log level {} is none of 0 to {LOG_LEVEL_MAX}",
                shown(word)
            ))
            .with_hint("a file of that name is given as ./NAME")
        })?);
        Ok(())
    }
}

fn replacement<'a>(words: &mut Words<'a>) -> Result<Replacement<'a>> {
    words.require(4)?;
    let which = if words.accept("idx") {
        let word = words.take("an index")?;
        let idx = parse_number(word, 0).and_then(|idx| u32::try_from(idx).ok());
        MapKey::Idx(
            idx.ok_or_else(|| Failure::new(format_args!("can't parse {} as IDX", shown(word))))?,
        )
    } else if words.accept("name") {
        MapKey::Name(words.take("a name")?)
    } else {
        return Err(Failure::new(format_args!(
            "expected 'idx' or 'name', got: '{}'?",
            words.peek().map(shown).unwrap_or(shown(OsStr::new("")))
        )));
    };
    let map = MapHandle::parse(words)?.open_one(MapFlags::empty())?;
    Ok(Replacement { which, map })
}

/// `{ FUNC | func FUNC | prog PROG [func FUNC] }`: here keywords are written out, because a
/// function may be called anything.
fn target(words: &mut Words<'_>) -> Result<Target> {
    let word = words.take("a function or 'prog'")?;
    if word == "prog" {
        let prog = ProgHandle::parse(words)?;
        let func = words.peek().is_some_and(|word| word == "func");
        let func = func.then(|| words.take("'func'")).transpose()?;
        let func = func.map(|_| function(words)).transpose()?;
        return Ok(Target::Prog(prog, func));
    }
    if word == "func" {
        return function(words).map(Target::Kernel);
    }
    text(word, "function").map(|name| Target::Kernel(name.to_owned()))
}

fn function(words: &mut Words<'_>) -> Result<String> {
    text(words.take("a function")?, "function").map(str::to_owned)
}

/// A word that must be text; `what` it is.
fn text<'a>(word: &'a OsStr, what: &str) -> Result<&'a str> {
    std::str::from_utf8(word.as_bytes())
        .ok()
        .filter(|word| !word.is_empty())
        .ok_or_else(|| Failure::new(format_args!("'{}' is no name of a {what}", shown(word))))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::cli::Options;
    use crate::kernel::Kernel;
    use crate::render::{Format, Output};

    fn with<T>(line: &str, see: impl FnOnce(Result<LoadArgs<'_>>) -> T) -> (T, String) {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let (kernel, options) = (Kernel::default(), Options::default());
        let mut errors = Vec::new();
        let mut output = Output::new(Format::Text, Vec::new(), &mut errors);
        let mut context = Context {
            kernel: &kernel,
            options: &options,
            output: &mut output,
            noun: None,
            in_batch: false,
        };
        let seen = see(LoadArgs::parse(&mut Words::new(&words), &mut context));
        drop(output);
        (seen, String::from_utf8(errors).unwrap())
    }

    fn fails(line: &str, message: &str) {
        let (said, _) = with(line, |args| args.unwrap_err().message().unwrap());
        assert_eq!(said, message, "{line}");
    }

    #[test]
    fn the_words_come_in_any_order_and_may_be_shortened() {
        let line = "x.o /pin only a,b auto set v=1=2 kc conf kernel /b log 3 log file pin /maps \
                    t xdp on c ta tcp_connect off lo";
        with(line, |args| {
            let args = args.unwrap();
            assert_eq!(args.object, Path::new("x.o"));
            assert_eq!(args.path, Path::new("/pin"));
            assert_eq!(args.edits.only, ["a", "b", "c"]);
            assert_eq!(args.edits.set, [("v", "1=2")]);
            assert_eq!(args.edits.prog_type, Some("xdp"));
            assert_eq!(args.edits.kernel_btf, Some(Path::new("/b")));
            assert_eq!(args.edits.kconfig, Some(Path::new("conf")));
            let target = Target::Kernel("tcp_connect".to_owned());
            assert_eq!(args.edits.target, Some(target));
            assert_eq!(args.pinmaps, Some(Path::new("/maps")));
            assert_eq!(
                (args.log.level, args.log.file),
                (Some(3), Some(Path::new("file")))
            );
            assert_eq!(args.device, Some(Device::Offload(1)));
            assert!(args.autoattach);
        });
    }

    #[test]
    fn targets_are_functions_of_the_kernel_or_of_programs() {
        let target = |line: &str| {
            with(&format!("o p target {line}"), |args| {
                args.unwrap().edits.target
            })
            .0
        };
        let kernel = |name: &str| Some(Target::Kernel(name.to_owned()));
        assert_eq!(target("pro"), kernel("pro"));
        assert_eq!(target("func prog"), kernel("prog"));
        let id = ProgHandle::Id(5);
        assert_eq!(target("prog id 5"), Some(Target::Prog(id.clone(), None)));
        assert_eq!(
            target("prog id 5 func f"),
            Some(Target::Prog(id, Some("f".to_owned())))
        );
    }

    #[test]
    fn what_is_given_twice_or_does_not_fit_is_named() {
        fails("x.o", "'' needs at least 2 arguments, 1 found");
        fails("o p type a type b", "program type already specified");
        fails(
            "o p offload_dev lo offload_dev lo",
            "offload_dev already specified",
        );
        let both = "xdpmeta_dev and offload_dev are mutually exclusive";
        fails("o p offload_dev lo xdpmeta_dev lo", both);
        fails("o p xdpmeta_dev lo dev lo", both);
        fails(
            "o p map foo 1 id 1",
            "expected 'idx' or 'name', got: 'foo'?",
        );
        fails("o p map idx x id 1", "can't parse x as IDX");
        fails("o p map idx", "'map' needs at least 4 arguments, 1 found");
        fails("o p set v", "expected VAR=VALUE, got: 'v'?");
        fails("o p set =1", "expected VAR=VALUE, got: '=1'?");
        fails("o p log 8", "log level 8 is none of 0 to 7");
        fails("o p log 1 log 2", "log level already specified");
        fails("o p log a log b", "log file already specified");
        fails("o p target a target b", "target already specified");
        fails(
            "o p pinmaps",
            "'pinmaps' needs at least 1 argument, 0 found",
        );
        let (said, _) = with("o p nope", |args| args.unwrap_err().message().unwrap());
        assert!(said.ends_with("got: 'nope'?"), "{said}");
    }

    #[test]
    fn the_old_word_for_a_device_is_still_taken() {
        let (device, said) = with("o p dev lo", |args| args.unwrap().device);
        assert_eq!(device, Some(Device::Offload(1)));
        assert!(said.starts_with("Warning: 'dev' is deprecated"), "{said}");
    }
}
