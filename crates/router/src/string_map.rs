//! A hash map from whole strings to numbers, looked up without regard to case if wanted and without allocation.
//!
//! The standard map cannot do that: a lookup that ignores case would have to make a lower-cased copy first.
//! Keys come from the configuration, so the hash needs no defence against keys chosen to collide.

use crate::span::{Span, offset};

#[derive(Clone, Debug)]
pub(crate) struct StringMap {
    ignore_case: bool,
    /// Open addressing, a power of two in length, at most half full.
    slots: Box<[Slot]>,
    entries: Vec<Entry>,
    text: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Part of the hash, so that most other keys are passed over without reading them.
    tag: u32,
    /// The entry, or `FREE`.
    entry: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Span,
    value: u32,
}

const FREE: u32 = u32::MAX;

impl StringMap {
    /// An empty map with room for so many keys.
    pub(crate) fn with_capacity(keys: usize, ignore_case: bool) -> Self {
        let slots = (keys.max(1) * 2).next_power_of_two();
        Self {
            ignore_case,
            slots: vec![Slot { tag: 0, entry: FREE }; slots].into_boxed_slice(),
            entries: Vec::with_capacity(keys),
            text: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of `key`.
    pub(crate) fn get(&self, key: &[u8]) -> Option<u32> {
        let hash = self.hash(key);
        let slot = self.slots.get(self.find(key, hash))?;
        self.entries.get(slot.entry as usize).map(|entry| entry.value)
    }

    /// Gives `key` a value, or returns the value that it has already and keeps. No more keys may be inserted than
    /// the map was made for.
    pub(crate) fn insert(&mut self, key: &[u8], value: u32) -> Result<(), u32> {
        let hash = self.hash(key);
        let at = self.find(key, hash);
        let entry = offset(self.entries.len());
        let Some(slot) = self.slots.get_mut(at) else { return Ok(()) };
        if let Some(entry) = self.entries.get(slot.entry as usize) {
            return Err(entry.value);
        }
        *slot = Slot { tag: tag(hash), entry };
        self.entries.push(Entry { key: Span::append(&mut self.text, key), value });
        Ok(())
    }

    /// The slot of `key`, or the free one where it belongs.
    fn find(&self, key: &[u8], hash: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while let Some(slot) = self.slots.get(at) {
            if slot.entry == FREE || (slot.tag == tag(hash) && self.is_key_of(slot.entry, key)) {
                break;
            }
            at = (at + 1) & mask;
        }
        at
    }

    fn is_key_of(&self, entry: u32, key: &[u8]) -> bool {
        self.entries.get(entry as usize).is_some_and(|entry| {
            let own = entry.key.of(&self.text);
            if self.ignore_case { own.eq_ignore_ascii_case(key) } else { own == key }
        })
    }

    /// Folded multiplication over words. Without regard to case, all bytes get the bit that tells lower case from
    /// upper case: some other characters then collide, but equal keys hash alike.
    fn hash(&self, key: &[u8]) -> u64 {
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let case = if self.ignore_case { 0x2020_2020_2020_2020 } else { 0 };
        let mix = |state: u64, word: u64| {
            let product = u128::from((word | case) ^ state) * u128::from(FACTOR);
            product as u64 ^ (product >> 64) as u64
        };
        let (words, rest) = key.as_chunks::<8>();
        let state = words.iter().fold(key.len() as u64, |state, word| mix(state, u64::from_le_bytes(*word)));
        let rest = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        mix(mix(state, rest), FACTOR)
    }
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart() {
        let keys: Vec<String> = (0..1000).map(|n| format!("/service/{n}/Endpoint")).collect();
        for ignore_case in [false, true] {
            let mut map = StringMap::with_capacity(keys.len(), ignore_case);
            assert!(map.is_empty());
            for (value, key) in (0..).zip(&keys) {
                assert_eq!(map.get(key.as_bytes()), None);
                assert_eq!(map.insert(key.as_bytes(), value), Ok(()));
                assert_eq!(map.insert(key.as_bytes(), 7777), Err(value));
            }
            for (value, key) in (0..).zip(&keys) {
                assert_eq!(map.get(key.as_bytes()), Some(value));
                let upper = key.to_ascii_uppercase();
                assert_eq!(map.get(upper.as_bytes()), ignore_case.then_some(value), "{upper}");
            }
            assert_eq!(map.get(b"/service/1000/Endpoint"), None);
        }
    }

    #[test]
    fn bytes_that_hash_alike_without_case_differ() {
        let mut map = StringMap::with_capacity(2, true);
        assert_eq!(map.insert(b"a@b", 1), Ok(()));
        assert_eq!(map.insert(b"a`b", 2), Ok(()));
        assert_eq!((map.get(b"A@B"), map.get(b"A`b"), map.get(b"")), (Some(1), Some(2), None));
    }
}
