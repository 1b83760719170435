//! The files of prose: a title, paragraphs, headings that begin with `== `, items that begin
//! with `- `, and lines for a shell that begin with `$ `.

use super::{Block, Page, Section};

/// Splits the title off.
pub(super) fn page(file: &'static str) -> Option<Page> {
    let (title, text) = file.split_once('\n').unwrap_or((file, ""));
    let (topic, about) = title.split_once(": ")?;
    Some(Page { topic, about, text })
}

pub(super) fn sections(text: &str) -> Vec<Section> {
    let mut sections = vec![Section {
        title: String::new(),
        blocks: Vec::new(),
    }];
    let mut open = false;
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("== ") {
            sections.push(Section {
                title: title.to_owned(),
                blocks: Vec::new(),
            });
            open = false;
            continue;
        }
        let Some(section) = sections.last_mut() else {
            continue;
        };
        add(&mut section.blocks, line, open);
        open = !line.is_empty();
    }
    sections.retain(|section| !section.title.is_empty() || !section.blocks.is_empty());
    sections
}

/// Adds a line; `open` says whether it may carry on with the last block.
fn add(blocks: &mut Vec<Block>, line: &str, open: bool) {
    let last = blocks.last_mut().filter(|_| open);
    match (last, line.strip_prefix("- ")) {
        _ if line.is_empty() => {}
        (Some(Block::Example(lines)), _) => lines.push(line.to_owned()),
        (_, Some(item)) => blocks.push(Block::Item(item.to_owned())),
        (_, None) if line.starts_with("$ ") => blocks.push(Block::Example(vec![line.to_owned()])),
        (Some(Block::Paragraph(text) | Block::Item(text)), None) => {
            text.push(' ');
            text.push_str(line.trim_start());
        }
        (None, None) => blocks.push(Block::Paragraph(line.trim_start().to_owned())),
    }
}

/// A usage without the word in front of it.
pub(super) fn without_label(usage: &str) -> String {
    let label = "Usage: ";
    let cut = |line: &str| {
        line.get(label.len()..)
            .unwrap_or(line.trim_start())
            .to_owned()
    };
    let lines: Vec<_> = usage.lines().map(cut).collect();
    lines.join("\n")
}

/// The lines of a usage that begin with a topic, and those that carry them on.
pub(super) fn lines_of(usage: &str, topic: &str) -> String {
    let usage = without_label(usage);
    let mut lines = Vec::new();
    let mut open = false;
    for line in usage.lines() {
        let is_of = line.split(' ').nth(1) == Some(topic) && line.starts_with("rbpftool ");
        if is_of || open {
            lines.push(line);
            open = line.ends_with('\\');
        }
    }
    lines.join("\n")
}
