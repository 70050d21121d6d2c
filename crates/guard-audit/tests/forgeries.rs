//! Trails that were forged in each way, and what is found.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod trail;

use guard_audit::{Finding, FindingKind, GENESIS, Line, SigningKey, Verifier, link_hash};
use proptest::prelude::*;
use serde_json::value::RawValue;
use trail::{Trail, chain, checkpoints_of, link_mut, relink};

fn verify(trail: &Trail, lines: &[Line]) -> Vec<Finding> {
    let mut verifier = Verifier::new(vec![*trail.key.public()]);
    for line in lines {
        verifier.text(&serde_json::to_string(line).unwrap());
    }
    let verified = verifier.finish();
    let findings = verifier.take_findings();
    assert_eq!(verified.findings, findings.len() as u64);
    findings
}

/// That this and nothing else is found.
#[track_caller]
fn found(trail: &Trail, lines: &[Line], kind: FindingKind, at: Option<(u8, u64)>) -> Finding {
    let findings = verify(trail, lines);
    let [finding] = findings.as_slice() else {
        panic!("{findings:#?}")
    };
    assert_eq!(finding.kind, kind, "{finding}");
    let place = at.map(|(number, link)| (chain(number), link));
    assert_eq!(finding.chain.zip(finding.link), place, "{finding}");
    finding.clone()
}

/// Two chains of six links with three records each, a fence, checkpoints after every second link, and a link after the last.
fn trail() -> (Trail, Vec<Line>) {
    let mut trail = Trail::new();
    for round in 0..6 {
        trail.commit(1, 3);
        trail.commit(2, if round == 3 { 0 } else { 3 });
        if round % 2 == 1 {
            trail.checkpoint(round == 1);
        }
    }
    trail.commit(1, 1);
    let lines = trail.lines.clone();
    (trail, lines)
}

#[test]
fn what_was_not_forged_verifies() {
    let (trail, lines) = trail();
    let mut verifier = Verifier::new(vec![*trail.key.public()]);
    for line in &lines {
        verifier.line(line.clone());
    }
    for checkpoint in checkpoints_of(&lines) {
        verifier.witness(checkpoint);
    }
    let verified = verifier.finish();
    assert_eq!(verifier.take_findings(), []);
    assert_eq!(
        (
            verified.links,
            verified.records,
            verified.chains,
            verified.checkpoints
        ),
        (13, 34, 2, 3)
    );
    assert_eq!(verified.unsigned_links, 1);
}

#[test]
fn a_changed_record_is_found() {
    let (trail, mut lines) = trail();
    let record = &mut link_mut(&mut lines, 1, 3).records[1];
    let text = record.record.as_ref().unwrap().get();
    let forged = text.replace("ignored", "escalated");
    assert_ne!(text, forged);
    record.record = Some(RawValue::from_string(forged).unwrap());
    let finding = found(&trail, &lines, FindingKind::ChangedRecord, Some((1, 3)));
    assert_eq!(finding.position, Some(1));
    assert!(finding.record.is_some());
    // With its hash.
    let record = &mut link_mut(&mut lines, 1, 3).records[1];
    record.hash = guard_audit::record_hash(record.record.as_deref().unwrap());
    found(&trail, &lines, FindingKind::ChangedLink, Some((1, 3)));
    // With the hash of the link, and the next link.
    let link = link_mut(&mut lines, 1, 3);
    link.hash = link_hash(
        &link.previous,
        &link
            .records
            .iter()
            .map(|record| record.hash)
            .collect::<Vec<_>>(),
    );
    let hash = link.hash;
    found(&trail, &lines, FindingKind::ChangedLink, Some((1, 4)));
    link_mut(&mut lines, 1, 4).previous = hash;
    found(&trail, &lines, FindingKind::ChangedLink, Some((1, 4)));
    // With every hash that follows: the signed head of link 4 is another, and that of link 2 is not.
    relink(&mut lines, 1);
    let finding = found(&trail, &lines, FindingKind::Recomputed, Some((1, 3)));
    assert_eq!(finding.checkpoint, Some(2));
}

#[test]
fn a_removed_record_is_found() {
    let (trail, lines) = trail();
    for (position, shows) in [(0, 0), (1, 1), (2, 2)] {
        let mut lines = lines.clone();
        link_mut(&mut lines, 2, 2).records.remove(position);
        let finding = found(&trail, &lines, FindingKind::RemovedRecord, Some((2, 2)));
        assert_eq!(finding.position, Some(shows));
    }
    // With the hashes.
    let mut lines = lines.clone();
    let link = link_mut(&mut lines, 2, 2);
    link.records.remove(2);
    link.count = 2;
    found(&trail, &lines, FindingKind::ChangedLink, Some((2, 2)));
    relink(&mut lines, 2);
    found(&trail, &lines, FindingKind::Recomputed, Some((2, 1)));
}

#[test]
fn an_inserted_record_is_found() {
    let (trail, mut lines) = trail();
    let stranger = link_mut(&mut lines, 1, 1).records[0].clone();
    let link = link_mut(&mut lines, 1, 3);
    let time = link.created_at;
    let text = stranger.record.as_ref().unwrap().get();
    let mut fields: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
    *fields.last_mut().unwrap() = time.into();
    let mut stranger = stranger;
    stranger.record = Some(serde_json::value::to_raw_value(&fields).unwrap());
    stranger.hash = guard_audit::record_hash(stranger.record.as_deref().unwrap());
    link.records.insert(1, stranger);
    for (place, record) in (0..).zip(&mut link.records) {
        record.position = place;
    }
    link.count = 4;
    let finding = found(&trail, &lines, FindingKind::InsertedRecord, Some((1, 3)));
    assert_eq!(finding.position, Some(1));
    relink(&mut lines, 1);
    found(&trail, &lines, FindingKind::Recomputed, Some((1, 3)));
}

#[test]
fn reordered_records_are_found() {
    let (trail, mut lines) = trail();
    let link = link_mut(&mut lines, 1, 3);
    link.records.swap(0, 2);
    for (place, record) in (0..).zip(&mut link.records) {
        record.position = place;
    }
    let finding = found(&trail, &lines, FindingKind::Reordered, Some((1, 3)));
    assert_eq!(finding.position, Some(0));
}

#[test]
fn a_removed_link_is_found() {
    let (trail, lines) = trail();
    let without = |removed: u64| -> Vec<Line> {
        let keep = |line: &&Line| !matches!(line, Line::Link(link) if link.chain == chain(1) && link.link == removed);
        lines.iter().filter(keep).cloned().collect()
    };
    found(&trail, &without(3), FindingKind::RemovedLink, Some((1, 3)));
    // The first.
    found(&trail, &without(1), FindingKind::RemovedLink, Some((1, 1)));
    // Counted again, and all hashes with it.
    let mut lines = without(3);
    let mut number = 0;
    for line in &mut lines {
        if let Line::Link(link) = line
            && link.chain == chain(1)
        {
            number += 1;
            link.link = number;
        }
    }
    relink(&mut lines, 1);
    found(&trail, &lines, FindingKind::CutTail, Some((1, 4)));
}

#[test]
fn a_link_that_is_there_twice_is_found() {
    let (trail, mut lines) = trail();
    let link = link_mut(&mut lines, 1, 3).clone();
    lines.push(Line::Link(link));
    found(&trail, &lines, FindingKind::InsertedLink, Some((1, 3)));
}

#[test]
fn a_removed_chain_is_found() {
    let (trail, mut lines) = trail();
    lines.retain(|line| !matches!(line, Line::Link(link) if link.chain == chain(2)));
    let finding = found(&trail, &lines, FindingKind::RemovedChain, Some((2, 1)));
    assert_eq!(finding.checkpoint, Some(1));
}

#[test]
fn a_cut_tail_is_found() {
    let (trail, mut lines) = trail();
    lines.retain(
        |line| !matches!(line, Line::Link(link) if link.chain == chain(2) && link.link > 4),
    );
    let finding = found(&trail, &lines, FindingKind::CutTail, Some((2, 5)));
    assert_eq!(finding.checkpoint, Some(3));
}

#[test]
fn checkpoints_that_were_cut_with_the_tail_are_found_by_what_was_kept_elsewhere() {
    let (trail, lines) = trail();
    let kept: Vec<_> = checkpoints_of(&lines).cloned().collect();
    let cut: Vec<Line> = lines
        .iter()
        .filter(|line| !matches!(line, Line::Link(link) if link.link > 4))
        .filter(|line| !matches!(line, Line::Checkpoint(checkpoint) if *checkpoint == kept[2]))
        .cloned()
        .collect();
    assert_eq!(verify(&trail, &cut), [], "by itself it is a trail");
    let mut verifier = Verifier::new(vec![*trail.key.public()]);
    for line in cut {
        verifier.line(line);
    }
    verifier.finish();
    for checkpoint in &kept {
        verifier.witness(checkpoint);
    }
    let findings = verifier.take_findings();
    let kinds: Vec<_> = findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(
        kinds,
        [
            FindingKind::RemovedCheckpoint,
            FindingKind::CutTail,
            FindingKind::CutTail
        ]
    );
    assert_eq!(findings[0].checkpoint, Some(3));
    assert_eq!(
        (findings[1].chain, findings[1].link),
        (Some(chain(1)), Some(5))
    );
}

#[test]
fn what_was_kept_elsewhere_may_be_younger_than_an_export() {
    let (trail, lines) = trail();
    let kept: Vec<_> = checkpoints_of(&lines).cloned().collect();
    let mut export: Vec<Line> = lines;
    let last = export
        .iter()
        .rposition(|line| matches!(line, Line::Checkpoint(_)));
    export.truncate(last.unwrap());
    if let Line::Export(head) = &mut export[0] {
        head.complete_until = kept[2].read().unwrap().time - 1;
    }
    let mut verifier = Verifier::new(vec![*trail.key.public()]);
    for line in export {
        verifier.line(line);
    }
    verifier.finish();
    kept.iter()
        .for_each(|checkpoint| verifier.witness(checkpoint));
    assert_eq!(verifier.take_findings(), []);
}

#[test]
fn checkpoints_cannot_be_forged() {
    let (mut trail, lines) = trail();
    // Changed.
    let mut forged = lines.clone();
    let last = forged
        .iter()
        .rposition(|line| matches!(line, Line::Checkpoint(_)))
        .unwrap();
    if let Line::Checkpoint(checkpoint) = &mut forged[last] {
        checkpoint.body = checkpoint.body.replace("\"link\":6", "\"link\":5");
    }
    let finding = found(&trail, &forged, FindingKind::Signature, None);
    assert_eq!(finding.checkpoint, Some(3));
    // Signed by somebody else, who recomputed everything.
    let mut other = Trail::new();
    other.key = SigningKey::generate().unwrap();
    std::mem::swap(&mut trail.key, &mut other.key);
    trail.checkpoint(false);
    std::mem::swap(&mut trail.key, &mut other.key);
    let finding = found(&trail, &trail.lines, FindingKind::Signature, None);
    assert_eq!(finding.checkpoint, Some(4));
    // Taken out.
    let mut forged = lines.clone();
    let middle = forged
        .iter()
        .position(|line| matches!(line, Line::Checkpoint(_)))
        .unwrap();
    forged.remove(middle);
    let finding = found(&trail, &forged, FindingKind::RemovedCheckpoint, None);
    assert_eq!(finding.checkpoint, Some(1));
    // There twice.
    let mut forged = lines.clone();
    forged.insert(middle, forged[middle].clone());
    found(&trail, &forged, FindingKind::ChangedCheckpoint, None);
    // All of them.
    let mut forged = lines;
    forged.retain(|line| !matches!(line, Line::Checkpoint(_)));
    found(&trail, &forged, FindingKind::Unsigned, None);
}

#[test]
fn a_chain_that_is_put_in_afterwards_is_found() {
    let (mut trail, mut lines) = trail();
    let mut forger = Trail::new();
    forger.commit(9, 2);
    let inserted = forger.lines.pop().unwrap();
    let before_last = lines.len() - 1;
    lines.insert(before_last, inserted.clone());
    found(&trail, &lines, FindingKind::Backdated, Some((9, 1)));
    // The server itself signs it, not knowing better.
    trail.adopt(inserted);
    trail.checkpoint(false);
    let finding = found(&trail, &trail.lines, FindingKind::Backdated, Some((9, 1)));
    assert_eq!(finding.checkpoint, Some(4));
}

#[test]
fn a_tenant_s_export_verifies_with_the_hashes_of_others() {
    let (trail, mut lines) = trail();
    for line in &mut lines {
        if let Line::Link(link) = line {
            for record in link
                .records
                .iter_mut()
                .filter(|record| record.position != 1)
            {
                record.record = None;
            }
        }
    }
    assert_eq!(verify(&trail, &lines), []);
    let record = &mut link_mut(&mut lines, 1, 3).records[0];
    record.hash = GENESIS;
    found(&trail, &lines, FindingKind::ChangedLink, Some((1, 3)));
}

#[test]
fn retention_leaves_a_signed_root() {
    let (mut trail, _) = trail();
    let before = trail.lines.clone();
    trail.drop_before(1, 3);
    trail.commit(1, 2);
    trail.checkpoint(false);
    assert_eq!(verify(&trail, &trail.lines), []);
    // The root is what says that something may be gone.
    let mut lines = trail.lines.clone();
    lines.remove(1);
    let kinds: Vec<_> = verify(&trail, &lines)
        .iter()
        .map(|finding| finding.kind)
        .collect();
    assert!(kinds.contains(&FindingKind::RemovedLink), "{kinds:?}");
    let removed = |lines: &[Line]| {
        let findings = verify(&trail, lines);
        let is_removed = |finding: &&Finding| finding.kind == FindingKind::RemovedLink;
        findings
            .iter()
            .find(is_removed)
            .and_then(|finding| finding.link)
    };
    // More than it says is not gone.
    let mut lines = trail.lines.clone();
    lines.retain(
        |line| !matches!(line, Line::Link(link) if link.chain == chain(1) && link.link == 4),
    );
    assert_eq!(removed(&lines), Some(4));
    // A forger has none.
    let mut lines = before;
    lines.retain(
        |line| !matches!(line, Line::Link(link) if link.chain == chain(1) && link.link < 4),
    );
    assert_eq!(removed(&lines), Some(1));
}

#[test]
fn what_is_no_export_is_refused() {
    let (trail, lines) = trail();
    let kinds = |text: &str| -> Vec<FindingKind> {
        let mut verifier = Verifier::new(vec![*trail.key.public()]);
        text.lines().for_each(|line| verifier.text(line));
        verifier.finish();
        verifier
            .take_findings()
            .iter()
            .map(|finding| finding.kind)
            .collect()
    };
    assert_eq!(kinds("{}"), [FindingKind::Unreadable]);
    let link = serde_json::to_string(&lines[1]).unwrap();
    assert_eq!(
        kinds(&link),
        [FindingKind::Unreadable],
        "an export has a beginning"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_changed_is_found(place in 0_usize..1000, bit in 0_u8..6) {
        let (trail, lines) = trail();
        // The head is signed by nobody, and the last link is not signed yet: its time and count may be anything.
        let signed = &lines[1..lines.len() - 1];
        let at = 1 + place % signed.len();
        let text = serde_json::to_string(&lines[at]).unwrap();
        let mut bytes = text.clone().into_bytes();
        let byte = place * 31 % bytes.len();
        bytes[byte] ^= 1 << bit;
        let Ok(forged) = String::from_utf8(bytes) else { return Ok(()) };
        // The time of a fence is said by nothing else.
        prop_assume!(!text.contains("\"count\":0") && forged != text);
        let mut verifier = Verifier::new(vec![*trail.key.public()]);
        for (number, line) in lines.iter().enumerate() {
            if number == at {
                verifier.text(&forged);
            } else {
                verifier.line(line.clone());
            }
        }
        let verified = verifier.finish();
        // The same value may be written in two ways, as the case of an escape; the value is what counts.
        let same = serde_json::from_str::<Line>(&forged).is_ok_and(|line| serde_json::to_string(&line).unwrap() == text);
        prop_assert!(same || verified.findings > 0, "line {at}: {forged}");
    }

    #[test]
    fn whatever_is_taken_out_is_found(place in 0_usize..1000) {
        let (trail, mut lines) = trail();
        let at = place % (lines.len() - 1);
        // The last checkpoint is known to be missing only by what was kept elsewhere.
        let last = lines.iter().rposition(|line| matches!(line, Line::Checkpoint(_))).unwrap();
        prop_assume!(at != last);
        lines.remove(at);
        prop_assert!(!verify(&trail, &lines).is_empty());
    }
}
