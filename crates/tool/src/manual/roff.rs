//! A page for man(1).

use ::roff::{Inline, Roff, bold, italic, roman};

use super::{Block, Page, pages};

/// The section of the manual that is for those who run a machine: bpftool is there too.
pub(super) const SECTION: &str = "8";

pub(super) fn page(page: &Page) -> String {
    let mut roff = Roff::new();
    let title = page.name().to_uppercase();
    let source = concat!("rbpftool ", env!("CARGO_PKG_VERSION"));
    roff.control("TH", [&*title, SECTION, super::DATE, source, "BPF objects"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{} - {}", page.name(), page.about))]);
    roff.control("SH", ["SYNOPSIS"]);
    verbatim(&mut roff, page.synopsis().lines());

    let mut sections = page.sections();
    let examples = sections
        .iter()
        .position(|section| section.title == "Examples");
    let examples = examples.map(|at| sections.remove(at));
    let mut is_first = true;
    for section in sections {
        match section.title.as_str() {
            "" => {
                roff.control("SH", ["DESCRIPTION"]);
            }
            title if page.has_commands() => {
                if is_first {
                    roff.control("SH", ["COMMANDS"]);
                }
                is_first = false;
                roff.control("SS", [format!("rbpftool {} {title}", page.topic).as_str()]);
            }
            title => {
                roff.control("SH", [title.to_uppercase().as_str()]);
            }
        }
        blocks(&mut roff, &section.blocks);
    }
    roff.control("SH", ["OPTIONS"]);
    for known in page.options() {
        roff.control("TP", []);
        roff.text([bold(known.shown())]);
        roff.text([roman(known.about)]);
    }
    if let Some(examples) = examples {
        roff.control("SH", ["EXAMPLES"]);
        blocks(&mut roff, &examples.blocks);
    }
    roff.control("SH", ["SEE ALSO"]);
    let others = pages().filter(|other| other.topic != page.topic);
    let others: Vec<_> = others
        .map(|other| format!("{}({SECTION})", other.name()))
        .collect();
    roff.text([roman(others.join(", "))]);
    roff.render()
}

fn blocks(roff: &mut Roff, blocks: &[Block]) {
    for (index, block) in blocks.iter().enumerate() {
        match block {
            Block::Paragraph(text) => {
                if index > 0 {
                    roff.control("PP", []);
                }
                roff.text(inline(text));
            }
            Block::Item(text) => {
                roff.control("IP", ["\\(bu", "2"]);
                roff.text(inline(text));
            }
            Block::Example(lines) => {
                if index > 0 {
                    roff.control("PP", []);
                }
                roff.control("RS", ["4"]);
                verbatim(roff, lines.iter().map(String::as_str));
                roff.control("RE", []);
            }
        }
    }
}

fn verbatim<'l>(roff: &mut Roff, lines: impl Iterator<Item = &'l str>) {
    roff.control("nf", []);
    for line in lines {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}

/// Words between backquotes are bold, names in capitals are slanted.
fn inline(text: &str) -> Vec<Inline> {
    let mut parts = Vec::new();
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 1 {
            parts.push(bold(part));
            continue;
        }
        for word in part.split_inclusive(' ') {
            let name = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            let is_name = name.len() > 2
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
                && !NOT_NAMES.contains(&name);
            parts.push(if is_name { italic(word) } else { roman(word) });
        }
    }
    parts.retain(|part| !matches!(part, Inline::Roman(text) if text.is_empty()));
    parts
}

/// Words in capitals that stand for themselves.
const NOT_NAMES: [&str; 12] = [
    "BPF", "BTF", "CORE", "CPU", "ELF", "JIT", "JSON", "LSM", "NUMA", "USDT", "XDP", "TCX",
];
