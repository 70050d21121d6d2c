//! Values by what they equal.

use rustc_hash::FxHashMap;

use super::EntryId;
use super::flips::FlipsBuilder;
use crate::engine::slots::View;
use crate::engine::text_table::{TextTable, TextWords};
use crate::matcher::predicate::Scalar;
use crate::number::{Number, NumberView, ShortNumber};

/// An index of scalars. Text in it is folded if the column's is.
#[derive(Debug, Default)]
pub(super) struct Equality {
    texts: TextTable,
    numbers: FxHashMap<ShortNumber, EntryId>,
    long_numbers: Vec<(Number, EntryId)>,
    null: Option<EntryId>,
    no: Option<EntryId>,
    yes: Option<EntryId>,
}

impl Equality {
    pub(super) fn new(scalars: FxHashMap<&Scalar, Vec<u32>>, flips: &mut FlipsBuilder) -> Self {
        let mut index = Self::default();
        let mut texts = Vec::new();
        for (scalar, clauses) in scalars {
            let entry = flips.entry(clauses);
            match scalar {
                Scalar::Null => index.null = Some(entry),
                Scalar::Bool(false) => index.no = Some(entry),
                Scalar::Bool(true) => index.yes = Some(entry),
                Scalar::String(text) => texts.push((text.as_str(), entry)),
                Scalar::Number(number) => match ShortNumber::of(number) {
                    Some(short) => _ = index.numbers.insert(short, entry),
                    None => index.long_numbers.push((number.clone(), entry)),
                },
            }
        }
        index.texts = TextTable::new(texts);
        index
    }

    #[inline]
    pub(super) fn find_text(&self, text: &str) -> Option<EntryId> {
        self.texts.get(text.as_bytes())
    }

    #[inline(always)]
    pub(super) fn find_words<'a>(
        &self,
        words: TextWords,
        text: impl Fn() -> &'a [u8],
    ) -> Option<EntryId> {
        self.texts.find(words, text)
    }

    pub(super) fn find(&self, value: View<'_>) -> Option<EntryId> {
        match value {
            View::Null => self.null,
            View::Bool(false) => self.no,
            View::Bool(true) => self.yes,
            View::Number(text) => match ShortNumber::parse(text) {
                Some(short) => self.numbers.get(&short).copied(),
                None => {
                    let value = NumberView::parse(text);
                    let equals = |number: &Number| value.compare(number.view()).is_eq();
                    let found = self.long_numbers.iter().find(|(number, _)| equals(number));
                    found.map(|(_, entry)| *entry)
                }
            },
            View::Text(text) => self.find_text(text),
            View::Missing | View::Array(_) | View::Object => None,
        }
    }
}
