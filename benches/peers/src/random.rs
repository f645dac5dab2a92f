//! A generator with a fixed seed (splitmix64), so that two runs compare.

pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    pub fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from(b"0123456789ABCDEF"[self.below(16)])).collect()
    }

    pub fn guid(&mut self) -> String {
        let part = |random: &mut Self, digits| random.hex(digits).to_lowercase();
        let parts = [8, 4, 4, 4, 12].map(|digits| part(self, digits));
        format!("{{{}}}", parts.join("-"))
    }

    /// Letters with the habits of words: consonants and vowels take turns.
    pub fn word(&mut self, shortest: usize, longest: usize) -> String {
        let length = shortest + self.below(longest - shortest + 1);
        (0..length)
            .map(|at| {
                let letters: &[u8] = if at % 2 == 0 { b"bcdfghklmnprstw" } else { b"aeiou" };
                char::from(letters[self.below(letters.len())])
            })
            .collect()
    }
}
