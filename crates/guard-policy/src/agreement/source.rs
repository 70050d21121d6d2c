//! Random numbers and what is made of them.

/// A stream of random numbers: SplitMix64 (Steele, Lea and Flood, 2014).
pub(super) struct Source(u64);

impl Source {
    pub(super) fn new(seed: u64) -> Self {
        // Mixed, since the streams of neighbouring seeds would be one stream, shifted.
        Self(Self(seed).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Whether something of that many percent happens.
    pub(super) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub(super) fn one<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// As many as `from` to `to` of what `make` makes, joined by commas.
    pub(super) fn list(
        &mut self,
        from: usize,
        to: usize,
        mut make: impl FnMut(&mut Self) -> String,
    ) -> String {
        let count = from + self.below(to - from + 1);
        let items: Vec<_> = (0..count).map(|_| make(self)).collect();
        items.join(",")
    }
}

/// Texts that rules look for and events have: they share beginnings, ends, parts and cases.
pub(super) const TEXTS: [&str; 24] = [
    "",
    "a",
    "ab",
    "abc",
    "ABC",
    "bc",
    "web-1",
    "WEB-1",
    "web-12",
    "eb",
    "ärger",
    "ÄRGER",
    "ΟΔΟΣ",
    "οδος",
    "😀",
    "a\0b",
    "q\"u\\o/t\ne",
    "10",
    "true",
    "null",
    "K",
    "k",
    "\u{212a}",
    "a longer text than eight bytes",
];

/// Addresses, and texts that are nearly some.
pub(super) const ADDRESSES: [&str; 10] = [
    "10.0.0.5",
    "10.1.2.3",
    "192.168.7.9",
    "::ffff:10.0.0.5",
    "2001:db8::7",
    "2001:db8:1::7",
    "::1",
    "010.0.0.5",
    "10.0.0.5 ",
    "fe80::1%eth0",
];

/// Numbers: equal ones written differently, neighbours, and ones that no double holds.
pub(super) const NUMBERS: [&str; 26] = [
    "0",
    "-0",
    "0.0",
    "0e999",
    "1",
    "1.0",
    "1e0",
    "10e-1",
    "2",
    "-1",
    "-1.5",
    "10",
    "1E+1",
    "100",
    "99.999",
    "9007199254740992",
    "9007199254740993",
    "0.1",
    "0.1000000000000000055511151231257827",
    "1e400",
    "10e399",
    "-1e-400",
    "123456789012345678901234567890",
    "123456789012345678901234567891",
    "1e99999999999999999999999999",
    "1.5e-3",
];

/// A text as JSON, sometimes with escapes where none are needed.
pub(super) fn quoted(text: &str, source: &mut Source) -> String {
    let spelled = source.percent(15);
    let mut json = String::from("\"");
    for character in text.chars() {
        if spelled && source.percent(50) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                json += &format!("\\u{unit:04x}");
            }
        } else {
            let plain = serde_json::to_string(&character).unwrap();
            json += &plain[1..plain.len() - 1];
        }
    }
    json + "\""
}
