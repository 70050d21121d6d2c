//! How bad it is.

crate::words::words! {
    /// The severity of an event. Ordered: `Low < Medium < High < Critical`.
    pub enum Severity as "severity" {
        /// Worth knowing.
        Low => "low",
        /// Worth looking at.
        Medium => "medium",
        /// Needs action soon.
        High => "high",
        /// Needs action now.
        Critical => "critical",
    }
}

impl Severity {
    /// The severity as a number from 0 (`low`) to 3 (`critical`), for ordering in a database.
    #[must_use]
    pub const fn rank(self) -> u8 {
        self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_are_ordered_and_spelled_exactly() {
        assert!(Severity::Low < Severity::Medium && Severity::High < Severity::Critical);
        assert_eq!(Severity::parse("critical"), Ok(Severity::Critical));
        let wrong = Severity::parse("critcal").unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "unknown severity `critcal`, expected one of low, medium, high, critical; did you mean `critical`?"
        );
        assert!(Severity::parse("Critical").is_err());
    }
}
