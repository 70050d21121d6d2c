//! When a certificate ends.

use chrono::{DateTime, NaiveDateTime, Utc};

/// Tags of DER (X.690).
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The end of a certificate's validity: `tbsCertificate.validity.notAfter` (RFC 5280, 4.1). A library for certificates would
/// be here for this date alone.
pub(super) fn not_after(certificate: &[u8]) -> Option<DateTime<Utc>> {
    let mut certificate = Der(certificate).value(SEQUENCE)?;
    let mut fields = certificate.value(SEQUENCE)?;
    if fields.tag() == Some(VERSION) {
        fields.skip()?;
    }
    // The serial number, the algorithm of the signature, the issuer.
    for _ in 0..3 {
        fields.skip()?;
    }
    let mut validity = fields.value(SEQUENCE)?;
    validity.skip()?;
    let tag = validity.tag()?;
    let text = std::str::from_utf8(validity.value(tag)?.0).ok()?;
    match tag {
        UTC_TIME if text.get(..2)?.parse::<u8>().ok()? < 50 => time(&format!("20{text}")),
        UTC_TIME => time(&format!("19{text}")),
        GENERALIZED_TIME => time(text),
        _ => None,
    }
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    let time = NaiveDateTime::parse_from_str(text, "%Y%m%d%H%M%SZ").ok()?;
    Some(time.and_utc())
}

/// Values in DER, one after the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn tag(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Takes the next value, which must have a tag; gives what is in it.
    fn value(&mut self, tag: u8) -> Option<Self> {
        (self.tag()? == tag).then(|| self.skip())?
    }

    /// Takes the next value.
    fn skip(&mut self) -> Option<Self> {
        let (&[_, first], mut rest) = self.0.split_first_chunk::<2>()?;
        let mut length = usize::from(first);
        if first & 0x80 != 0 {
            let (digits, behind) = rest.split_at_checked(usize::from(first & 0x7f))?;
            // No certificate is longer than four digits can say.
            let digits = (digits.len() <= 4).then_some(digits)?;
            length = digits
                .iter()
                .fold(0, |sum, &digit| (sum << 8) | usize::from(digit));
            rest = behind;
        }
        let (value, behind): (&'a [u8], &'a [u8]) = rest.split_at_checked(length)?;
        self.0 = behind;
        Some(Self(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    fn end_of(year: i32) -> Option<DateTime<Utc>> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 2, 3);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let der = certificate.der();
        for cut in 0..der.len() {
            assert_eq!(not_after(&der[..cut]), None, "of {cut} bytes");
        }
        not_after(der)
    }

    #[test]
    fn the_end_is_read_in_both_forms() {
        // Up to 2049 the year has two digits, from then on four.
        for year in [1999, 2031, 2049, 2050, 2999] {
            let end = end_of(year).unwrap().to_rfc3339();
            assert_eq!(end, format!("{year}-02-03T00:00:00+00:00"));
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        for nonsense in [
            &b""[..],
            &[0x30],
            &[0x30, 0x80],
            &[0x30, 0x88, 1, 1, 1, 1, 1, 1, 1, 1],
            b"nonsense",
        ] {
            assert_eq!(not_after(nonsense), None);
        }
    }
}
