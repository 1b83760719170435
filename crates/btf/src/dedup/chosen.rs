//! Some of many ids, and which position each has among them.

use super::records::offset;

/// Ids, ascending. A position is found without a word for each id that is not there.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    ids: Vec<u32>,
    /// Which ids are there, 64 to a word, and how many come before the word.
    words: Vec<(u64, u32)>,
}

impl Chosen {
    /// Those below `end` for which `is_chosen` holds.
    pub(super) fn new(end: usize, is_chosen: impl Fn(usize) -> bool) -> Self {
        let mut ids = Vec::new();
        let mut words = Vec::with_capacity(end / 64 + 1);
        for first in (0..end).step_by(64) {
            let before = offset(ids.len());
            let mut word = 0;
            for id in first..end.min(first + 64) {
                if is_chosen(id) {
                    word |= 1 << (id % 64);
                    ids.push(offset(id));
                }
            }
            words.push((word, before));
        }
        Self { ids, words }
    }

    /// All of them.
    pub(super) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The position of an id, if it is there.
    #[inline]
    pub(super) fn position(&self, id: u32) -> Option<u32> {
        let (word, before) = self.words[id as usize / 64];
        let bit = 1 << (id % 64);
        (word & bit != 0).then(|| before + (word & (bit - 1)).count_ones())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_of_each_id_is_where_it_is_among_the_chosen() {
        for step in [1, 2, 63, 64, 65, 200] {
            let chosen = Chosen::new(401, |id| id % step == 0);
            for id in 0..401 {
                let at = chosen.ids().iter().position(|one| *one == id);
                assert_eq!(chosen.position(id).map(|at| at as usize), at, "{step} {id}");
            }
        }
        assert!(Chosen::new(0, |_| true).ids().is_empty());
    }
}
