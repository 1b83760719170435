//! `gen skeleton` and `gen subskeleton`: source text that shows an object's parts by name.

use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use loader::light::{LightOptions, generate};
use loader::model::{Object, ParseOptions};
use loader::skeleton::{self, c, rust};
use loader::target::Running;

use crate::command::Context;
use crate::failure::{EINVAL_STATUS, Failure, Result};
use crate::nouns::btf::source;
use crate::nouns::prog::load::{advice, light};
use crate::render::escape::Escaped;
use crate::words::{Words, shown};

/// The words of both commands.
struct Args<'w> {
    path: &'w Path,
    name: Option<String>,
    lang: Language,
    include: Option<&'w str>,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    C,
    Rust,
}

/// `gen skeleton FILE [name NAME] [lang c|rust] [include PATH]`
pub(super) fn run(context: &mut Context<'_, '_>, words: Words<'_>) -> Result<()> {
    let args = Args::read(context, words)?;
    let name = args.name();
    let bytes = read(args.path)?;
    let object = parse(context, args.path, &bytes, &name)?;
    let text = match args.lang {
        Language::Rust if context.options.use_loader => {
            return Err(Failure::new(
                "a skeleton in Rust loads its object itself: -L and -S are for C",
            ));
        }
        Language::Rust => {
            let mut options = rust::Options::default();
            options.include = args.include.map(str::to_owned);
            Ok(rust::skeleton(&object, &bytes, &options))
        }
        Language::C if context.options.use_loader => light_skeleton(context, &object)?,
        Language::C => c::skeleton(&object, &bytes),
    };
    print(context, text)
}

/// `gen subskeleton FILE [name NAME]`
pub(super) fn run_sub(context: &mut Context<'_, '_>, words: Words<'_>) -> Result<()> {
    let args = Args::read(context, words)?;
    if context.options.use_loader {
        return Err(Failure::new("cannot use loader for subskeletons"));
    }
    if args.lang == Language::Rust {
        return Err(Failure::new("there are subskeletons for C only"));
    }
    let bytes = read(args.path)?;
    let object = parse(context, args.path, &bytes, "")?;
    print(context, c::subskeleton(&object, &args.name()))
}

impl<'w> Args<'w> {
    fn read(context: &Context<'_, '_>, mut words: Words<'w>) -> Result<Self> {
        words.require(1)?;
        let mut args = Self {
            path: words.take_path("an object file")?,
            name: None,
            lang: Language::C,
            include: None,
        };
        if let Some(word) = &context.options.lang {
            args.lang = language(word)?;
        }
        while let Some(word) = words.peek() {
            if words.accept("name") {
                words.require(1)?;
                let name = words.take("a name")?;
                if args.name.is_some() {
                    return Err(Failure::new("object name already specified"));
                }
                args.name = Some(skeleton::identifier(&name.to_string_lossy()));
            } else if words.accept("lang") {
                words.require(1)?;
                args.lang = language(words.take("a language")?)?;
            } else if words.accept("include") {
                words.require(1)?;
                let path = words.take("a path")?;
                args.include =
                    Some(path.to_str().ok_or_else(|| {
                        Failure::new(format_args!("'{}' is no text", shown(path)))
                    })?);
            } else {
                return Err(Failure::new(format_args!("unknown arg {}", shown(word))));
            }
        }
        if args.include.is_some() && args.lang == Language::C {
            return Err(Failure::new(
                "'include' has a meaning only with 'lang rust'",
            ));
        }
        Ok(args)
    }

    /// The skeleton's name: the file's, unless another is given.
    fn name(&self) -> String {
        self.name
            .clone()
            .unwrap_or_else(|| skeleton::name_of_file(&self.path.to_string_lossy()))
    }
}

fn language(word: &std::ffi::OsStr) -> Result<Language> {
    match word.as_bytes() {
        b"c" | b"C" => Ok(Language::C),
        b"rust" => Ok(Language::Rust),
        _ => Err(Failure::new(format_args!(
            "expected 'c' or 'rust', got: '{}'?",
            shown(word)
        ))),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let file = Escaped(path.as_os_str().as_bytes());
    std::fs::read(path).map_err(|error| {
        let status = source::io_status(&error);
        Failure::because(format_args!("failed to open {file}"), error).with_status(status)
    })
}

fn parse(context: &Context<'_, '_>, path: &Path, bytes: &[u8], name: &str) -> Result<Object> {
    let file = Escaped(path.as_os_str().as_bytes());
    let options = ParseOptions::named(name).relaxed_maps(context.options.map_compat);
    Object::parse(bytes, &options).map_err(|error| {
        let advice = advice::for_model(&error);
        let failure = Failure::because(format_args!("failed to open object {file}"), error)
            .with_status(EINVAL_STATUS);
        match advice {
            Some(advice) => failure.with_hint(advice),
            None => failure,
        }
    })
}

/// `-L` and `-S`: the object as a loader program.
fn light_skeleton(
    context: &Context<'_, '_>,
    object: &Object,
) -> Result<std::result::Result<String, skeleton::SkeletonError>> {
    let kernel = Running::new();
    let mut options = LightOptions::default();
    options.hash = context.options.signing.is_some();
    options.target = Some(&kernel);
    let program = generate(object, &options)
        .map_err(|error| Failure::because("failed to make a loader program", error))?;
    let signing = context.options.signing.as_ref();
    let signature = signing
        .map(|signing| light::signature(&program, signing))
        .transpose()?;
    Ok(c::light_skeleton(object, &program, signature.as_deref()))
}

fn print(
    context: &mut Context<'_, '_>,
    text: std::result::Result<String, skeleton::SkeletonError>,
) -> Result<()> {
    let text = text.map_err(|error| {
        Failure::because("failed to make a skeleton", error).with_status(EINVAL_STATUS)
    })?;
    if context.output.is_json() {
        context.output.json().value(&text)?;
    } else {
        context.output.text().write_all(text.as_bytes())?;
    }
    Ok(())
}
