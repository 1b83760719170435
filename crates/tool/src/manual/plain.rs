//! A page as text.

use super::{Block, Page, Section};

/// How wide running text becomes.
const WIDTH: usize = 80;

pub(super) fn page(page: &Page) -> String {
    let mut out = String::new();
    heading(&mut out, "Name");
    wrapped(
        &mut out,
        &format!("{} - {}", page.name(), page.about),
        "    ",
        "    ",
    );
    heading(&mut out, "Synopsis");
    for line in page.synopsis().lines() {
        line_of(&mut out, "    ", line);
    }
    let mut sections = page.sections();
    let examples = sections
        .iter()
        .position(|section| section.title == "Examples");
    let examples = examples.map(|at| sections.remove(at));
    for section in sections {
        match section.title.as_str() {
            "" => heading(&mut out, "Description"),
            title if page.has_commands() => {
                heading(&mut out, &format!("rbpftool {} {title}", page.topic));
            }
            title => heading(&mut out, title),
        }
        blocks(&mut out, &section.blocks);
    }
    heading(&mut out, "Options");
    for known in page.options() {
        let names = known.shown();
        wrapped(
            &mut out,
            &format!("{names}: {}", known.about),
            "    ",
            "        ",
        );
    }
    if let Some(examples) = examples {
        heading(&mut out, "Examples");
        blocks(&mut out, &examples.blocks);
    }
    out
}

pub(super) fn section(section: &Section) -> String {
    let mut out = String::new();
    heading(&mut out, &section.title);
    blocks(&mut out, &section.blocks);
    out
}

fn heading(out: &mut String, title: &str) {
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(title);
    out.push('\n');
}

fn blocks(out: &mut String, blocks: &[Block]) {
    for (index, block) in blocks.iter().enumerate() {
        let after = index.checked_sub(1).and_then(|last| blocks.get(last));
        let in_list = matches!((after, block), (Some(Block::Item(_)), Block::Item(_)));
        if index > 0 && !in_list {
            out.push('\n');
        }
        match block {
            Block::Paragraph(text) => wrapped(out, text, "    ", "    "),
            Block::Item(text) => wrapped(out, text, "    - ", "      "),
            Block::Example(lines) => {
                for line in lines {
                    line_of(out, "        ", line);
                }
            }
        }
    }
}

fn line_of(out: &mut String, indent: &str, line: &str) {
    if !line.is_empty() {
        out.push_str(indent);
        out.push_str(line);
    }
    out.push('\n');
}

/// Text in lines; the backquotes are for other renderings.
fn wrapped(out: &mut String, text: &str, first: &str, next: &str) {
    let mut indent = first;
    let mut line = String::new();
    for word in text.replace('`', "").split(' ') {
        let width = indent.len() + line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && width > WIDTH {
            line_of(out, indent, &line);
            line.clear();
            indent = next;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line_of(out, indent, &line);
}
