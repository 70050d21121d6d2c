//! What need not be asked of the outbox again.

use guard_domain::PlaybookName;

/// The playbooks beside which there was no work, while there can be no new.
///
/// Otherwise all that a playbook has waiting would be looked through each time that one of its deliveries ends.
#[derive(Debug, Default)]
pub(super) struct InVain(Vec<PlaybookName>);

impl InVain {
    /// Nothing was due but of these.
    pub(super) fn note(&mut self, skipped: Vec<PlaybookName>) {
        self.0 = skipped;
    }

    /// There may be new work.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// Whether there is nothing to find if these are skipped. Without a playbook to skip it costs nothing to look.
    pub(super) fn covers(&self, skipped: &[PlaybookName]) -> bool {
        !self.0.is_empty() && self.0.iter().all(|one| skipped.contains(one))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn playbooks(names: &[&str]) -> Vec<PlaybookName> {
        let parse = |name: &&str| PlaybookName::parse(name).unwrap();
        names.iter().map(parse).collect()
    }

    #[test]
    fn what_was_in_vain_is_so_until_a_playbook_has_room_again_or_work_comes() {
        let mut in_vain = InVain::default();
        assert!(!in_vain.covers(&playbooks(&["a"])), "never asked");
        in_vain.note(playbooks(&["a", "b"]));
        assert!(in_vain.covers(&playbooks(&["b", "a"])));
        assert!(in_vain.covers(&playbooks(&["a", "b", "c"])));
        assert!(!in_vain.covers(&playbooks(&["a"])), "b has room");
        assert!(!in_vain.covers(&[]), "both have room");
        in_vain.forget();
        assert!(!in_vain.covers(&playbooks(&["a", "b"])), "new work");
    }

    #[test]
    fn with_nothing_to_skip_the_outbox_is_asked() {
        let mut in_vain = InVain::default();
        in_vain.note(Vec::new());
        assert!(!in_vain.covers(&[]));
        assert!(!in_vain.covers(&playbooks(&["a"])));
    }
}
