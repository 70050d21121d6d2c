//! The records of a link.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::Verifier;
use crate::export::{Link, LinkRecord};
use crate::finding::{Finding, FindingKind};
use crate::hash::Hash;
use crate::record::{link_hash, record_hash};

/// Up to how many records it is tried out which two of them changed places.
const FEW: usize = 128;

/// What the canonical form of a record says of its place: the id and the time, the first and the last of its fields.
#[derive(Deserialize)]
#[rustfmt::skip]
struct Outline(
    Uuid, IgnoredAny, IgnoredAny, IgnoredAny, IgnoredAny, IgnoredAny, IgnoredAny, IgnoredAny,
    IgnoredAny, IgnoredAny, IgnoredAny, IgnoredAny, IgnoredAny, IgnoredAny, IgnoredAny, i64,
);

impl Outline {
    fn of(text: Option<&RawValue>) -> Option<Self> {
        serde_json::from_str(text?.get()).ok()
    }
}

fn id(record: &LinkRecord) -> Option<Uuid> {
    Outline::of(record.record.as_deref()).map(|outline| outline.0)
}

impl Verifier {
    pub(super) fn records(&mut self, link: &Link) {
        let mut whole = true;
        for (place, record) in (0..).zip(&link.records) {
            whole &= self.record(link, record);
            if whole && record.position != place {
                whole = false;
                let kind = match record.position > place {
                    true => FindingKind::RemovedRecord,
                    false => FindingKind::InsertedRecord,
                };
                let sentence = format!(
                    "the record at position {place} has position {}",
                    record.position
                );
                self.find_record(link, kind, place, id(record), sentence);
            }
        }
        let count = u64::try_from(link.records.len()).unwrap_or(u64::MAX);
        if whole && count < link.count {
            whole = false;
            let sentence = format!(
                "the link stands for {} records, and {count} are there",
                link.count
            );
            self.find_record(link, FindingKind::RemovedRecord, count, None, sentence);
        }
        let hashes: Vec<Hash> = link.records.iter().map(|record| record.hash).collect();
        if whole && link_hash(&link.previous, &hashes) != link.hash {
            self.explain(link, hashes);
        } else if whole && count > link.count {
            let sentence = format!(
                "the link says that it stands for {} records, and does for {count}",
                link.count
            );
            self.find(Finding::new(FindingKind::ChangedLink, sentence).at(link.chain, link.link));
        }
    }

    /// Whether a record is what its hash says.
    fn record(&mut self, link: &Link, record: &LinkRecord) -> bool {
        let Some(text) = &record.record else {
            self.verified.bare += 1;
            return true;
        };
        self.verified.records += 1;
        let Some(Outline(id, .., time)) = Outline::of(Some(text)) else {
            let sentence = "this is no record in canonical form";
            self.find_record(
                link,
                FindingKind::ChangedRecord,
                record.position,
                None,
                sentence,
            );
            return false;
        };
        if record_hash(text) != record.hash {
            let sentence = "the record has another hash than when it was written";
            self.find_record(
                link,
                FindingKind::ChangedRecord,
                record.position,
                Some(id),
                sentence,
            );
            return false;
        }
        if time != link.created_at {
            let sentence = "the link says another time than its record";
            let finding =
                Finding::new(FindingKind::ChangedLink, sentence).at(link.chain, link.link);
            self.find(finding.position(record.position).record(Some(id)));
        }
        true
    }

    /// The hash of the link is not that of its records: tries to say why.
    fn explain(&mut self, link: &Link, mut hashes: Vec<Hash>) {
        let holds = |hashes: &[Hash]| link_hash(&link.previous, hashes) == link.hash;
        for (place, record) in (0..).zip(&link.records) {
            let one = hashes.remove(place);
            let without = holds(&hashes);
            hashes.insert(place, one);
            if without {
                let sentence = "the record was not there when its link was written";
                return self.find_record(
                    link,
                    FindingKind::InsertedRecord,
                    record.position,
                    id(record),
                    sentence,
                );
            }
        }
        let few = hashes.len().min(FEW);
        for one in 0..few {
            for other in one + 1..few {
                hashes.swap(one, other);
                let swapped = holds(&hashes);
                hashes.swap(one, other);
                if let (true, Some(record)) = (swapped, link.records.get(one)) {
                    let sentence =
                        format!("the records at positions {one} and {other} have changed places");
                    return self.find_record(
                        link,
                        FindingKind::Reordered,
                        record.position,
                        id(record),
                        sentence,
                    );
                }
            }
        }
        let sentence = "the link does not stand for these records: one was changed together with its hash, or taken out or put in, or the link itself was changed";
        self.find(Finding::new(FindingKind::ChangedLink, sentence).at(link.chain, link.link));
    }

    fn find_record(
        &mut self,
        link: &Link,
        kind: FindingKind,
        position: u64,
        id: Option<Uuid>,
        sentence: impl Into<String>,
    ) {
        let finding = Finding::new(kind, sentence).at(link.chain, link.link);
        self.find(finding.position(position).record(id));
    }
}
