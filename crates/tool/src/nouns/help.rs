//! `help`, at the top and in every noun: the usage, on standard error as bpftool does.

use crate::command::Context;
use crate::failure::{Failure, Result};
use crate::grammar::nearest;
use crate::manual;
use crate::words::{Words, shown};

/// The usage of the whole tool.
pub const TOP: &str = "\
Usage: rbpftool [OPTIONS] OBJECT { COMMAND | help }
       rbpftool batch file FILE
       rbpftool plan OBJ [btf FILE] [type TYPE] [only NAME] [set VAR=VALUE] \\
                           [target TARGET] [kconfig FILE]
       rbpftool demo
       rbpftool doctor
       rbpftool help [TOPIC [COMMAND]]
       rbpftool completion { bash | zsh | fish }
       rbpftool version

       OBJECT := { prog | map | link | cgroup | perf | net | feature | btf | gen | struct_ops |
                   iter | token }
       OPTIONS := { {-j|--json} [{-p|--pretty}] | {-d|--debug} | {-f|--bpffs} |
                    {-B|--base-btf FILE} | {-V|--version} | {-h|--help} | {--human} |
                    {--format table|text|json|pretty|jsonl} |
                    {--color auto|always|never} }
";

/// `help`, whose usage goes to standard error, and `help TOPIC`, which was asked for.
pub fn top(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    if words.is_empty() {
        return usage(context, TOP);
    }
    let word = words.take("a topic")?;
    let Some(page) = word.to_str().and_then(manual::page) else {
        let failure = Failure::new(format_args!("there is no help about '{}'", shown(word)));
        return Err(match nearest(word, manual::topics()) {
            Some(topic) => failure.with_hint(format!("did you mean '{topic}'?")),
            None => failure.with_hint(format!(
                "there is some about {}",
                manual::topics().collect::<Vec<_>>().join(", ")
            )),
        });
    };
    if words.is_empty() {
        return context.output.show(&page);
    }
    let word = words.take("a command")?;
    words.end()?;
    let section = word.to_str().and_then(|word| page.section(word));
    let Some(section) = section else {
        return Err(Failure::new(format_args!(
            "the help about '{}' says nothing of '{}'",
            page.topic,
            shown(word)
        )));
    };
    context.output.show(&section)
}

/// `NOUN help`
pub fn of_noun(context: &mut Context<'_, '_>, _words: Words<'_>) -> Result<()> {
    let text = context.noun.map_or(TOP, |noun| noun.usage);
    usage(context, text)
}

fn usage(context: &mut Context<'_, '_>, text: &str) -> Result<()> {
    if context.output.is_json() {
        return context.output.done();
    }
    context.output.remark(text.trim_end());
    Ok(())
}
