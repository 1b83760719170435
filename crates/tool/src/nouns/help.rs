//! `help`, at the top and in every noun: the usage, on standard error as bpftool does.

use crate::command::Context;
use crate::failure::Result;
use crate::words::Words;

/// The usage of the whole tool.
pub const TOP: &str = "\
Usage: rbpftool [OPTIONS] OBJECT { COMMAND | help }
       rbpftool batch file FILE
       rbpftool plan OBJ [btf FILE] [type TYPE] [only NAME] [set VAR=VALUE] \\
                           [target TARGET] [kconfig FILE]
       rbpftool demo
       rbpftool doctor
       rbpftool version

       OBJECT := { prog | map | link | cgroup | perf | net | feature | btf | gen | struct_ops |
                   iter | token }
       OPTIONS := { {-j|--json} [{-p|--pretty}] | {-d|--debug} | {-f|--bpffs} |
                    {-B|--base-btf FILE} | {-V|--version} | {-h|--help} }
";

/// `help`
pub fn top(context: &mut Context<'_, '_>, _words: Words<'_>) -> Result<()> {
    usage(context, TOP)
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
