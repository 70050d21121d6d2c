//! What must hold of an event.

use super::{FieldPath, Literal};
use crate::UnknownWord;

/// Something that holds of an event or does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Holds if all of them do; an empty list holds.
    All(Vec<Condition>),
    /// Holds if one of them does; an empty list does not hold.
    Any(Vec<Condition>),
    /// Holds if the inner one does not.
    Not(Box<Condition>),
    /// Holds if the value of a field passes.
    Test(Test),
}

/// A test of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// The field.
    pub field: FieldPath,
    /// How to look at its value.
    pub operator: Operator,
    /// Whether the test holds exactly when it otherwise would not: `ne`, `not_in`, `not_prefix` and so on.
    pub negated: bool,
    /// What to compare with.
    pub operand: Operand,
    /// Whether text is compared without regard to upper and lower case.
    pub ignore_case: bool,
    /// What an array must show.
    pub quantifier: Quantifier,
}

/// What a test compares with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// Nothing: `exists`.
    None,
    /// A value, or a list of values.
    Value(Literal),
    /// The value of another field.
    ValueOf(FieldPath),
}

crate::words::words! {
    /// What an array must show for a test to hold.
    pub enum Quantifier as "quantifier" {
        /// One element that passes.
        Any => "any",
        /// At least one element, and all of them pass.
        All => "all",
    }
}

crate::words::words! {
    /// How a test looks at a value. Each has a negated spelling: `ne` for `eq`, else `not_` before it; the orderings
    /// (`gt` and so on) have none.
    pub enum Operator as "operator" {
        /// Equal.
        Eq => "eq",
        /// Equal to one of a list.
        In => "in",
        /// A number greater than.
        Gt => "gt",
        /// A number greater than or equal to.
        Gte => "gte",
        /// A number less than.
        Lt => "lt",
        /// A number less than or equal to.
        Lte => "lte",
        /// A number within two bounds, which are included.
        Between => "between",
        /// Text that begins with.
        Prefix => "prefix",
        /// Text that ends with.
        Suffix => "suffix",
        /// Text that holds, or an array with an element equal to.
        Contains => "contains",
        /// Text that fits a pattern of `*` (any text) and `?` (one character); `\` takes the next character literally.
        Wildcard => "wildcard",
        /// Text in which a regular expression is found.
        Regex => "regex",
        /// An IP address in one of the networks.
        Cidr => "cidr",
        /// The field is there, `null` included.
        Exists => "exists",
    }
}

impl Operator {
    /// Whether it has a negated spelling.
    #[must_use]
    pub const fn is_negatable(self) -> bool {
        !matches!(
            self,
            Self::Gt | Self::Gte | Self::Lt | Self::Lte | Self::Between
        )
    }

    /// The spelling of the operator in a rule.
    #[must_use]
    pub fn spelling(self, negated: bool) -> String {
        match (self, negated) {
            (_, false) => self.as_str().to_owned(),
            (Self::Eq, true) => "ne".to_owned(),
            (_, true) => format!("not_{self}"),
        }
    }

    /// Every spelling, negated ones included.
    #[must_use]
    pub fn spellings() -> Vec<String> {
        let both = Self::ALL.iter().flat_map(|op| [(*op, false), (*op, true)]);
        both.filter(|(op, negated)| !negated || op.is_negatable())
            .map(|(op, negated)| op.spelling(negated))
            .collect()
    }

    /// Reads a spelling: the operator, and whether it is negated.
    ///
    /// # Errors
    /// [`UnknownWord`] with the nearest spelling.
    pub fn parse_spelling(word: &str) -> Result<(Self, bool), UnknownWord> {
        let both = Self::ALL.iter().flat_map(|op| [(*op, false), (*op, true)]);
        both.filter(|(op, negated)| !negated || op.is_negatable())
            .find(|(op, negated)| op.spelling(*negated) == word)
            .ok_or_else(|| {
                let spellings = Self::spellings();
                let nearest = crate::suggest::nearest(word, spellings.iter().map(String::as_str));
                UnknownWord {
                    kind: "operator",
                    word: word.to_owned(),
                    nearest: nearest.map(str::to_owned),
                    expected: spellings.join(", "),
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_reads_back() {
        for spelling in Operator::spellings() {
            let (operator, negated) = Operator::parse_spelling(&spelling).unwrap();
            assert_eq!(operator.spelling(negated), spelling);
        }
        assert_eq!(
            Operator::parse_spelling("ne").unwrap(),
            (Operator::Eq, true)
        );
        assert!(Operator::parse_spelling("not_gt").is_err());
        assert!(Operator::parse_spelling("not_eq").is_err());
        let error = Operator::parse_spelling("not_perfix").unwrap_err();
        assert_eq!(error.nearest.as_deref(), Some("not_prefix"));
    }
}
