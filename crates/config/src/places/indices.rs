//! Finds elements of long lists and entries of large maps again and again without looking at all of them each time.

use std::{
    cell::RefCell,
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    rc::Rc,
};

use crate::tree::{Entry, Node, Value};

/// Up to this size a list or a map is searched from its start.
const SMALL: usize = 16;

/// What is known about the lists and maps of the trees, each by its address. The trees do not change while this lives.
#[derive(Default)]
pub(super) struct Indices {
    lists: RefCell<HashMap<usize, Rc<Elements>>>,
    maps: RefCell<HashMap<usize, Rc<HashMap<u64, usize>>>>,
    hasher: RandomState,
}

/// The elements that a list stands for once the lists in it are flattened.
struct Elements {
    count: usize,
    /// How many of them stand before each item of the list. Empty if each item is one element.
    before: Vec<usize>,
}

impl Indices {
    /// The element that `index` means where `node` stands for a list, or how many elements it stands for.
    pub(super) fn element<'n, 't>(
        &self,
        mut node: &'n Node<'t>,
        mut index: usize,
    ) -> Result<&'n Node<'t>, usize> {
        let count = self.count(node);
        if index >= count {
            return Err(count);
        }
        while let Value::List(items) = node.resolved() {
            let at = match self.elements(items) {
                Some(elements) if !elements.before.is_empty() => {
                    // Empty lists begin where the next one begins.
                    let at = elements.before.partition_point(|before| *before <= index).saturating_sub(1);
                    index -= elements.before.get(at).copied().unwrap_or_default();
                    at
                }
                _ => std::mem::take(&mut index),
            };
            node = items.get(at).ok_or(count)?;
        }
        Ok(node)
    }

    /// Null in the place of a list is none; in a list it is an element without a value.
    fn count(&self, node: &Node<'_>) -> usize {
        if node.is_null() { 0 } else { self.count_in_list(node) }
    }

    fn count_in_list(&self, node: &Node<'_>) -> usize {
        match node.resolved() {
            Value::List(items) => self.elements(items).map_or(items.len(), |elements| elements.count),
            _ => 1,
        }
    }

    /// `None` for a small list whose items are its elements.
    fn elements(&self, items: &[Node<'_>]) -> Option<Rc<Elements>> {
        let is_element = |item: &Node<'_>| !matches!(item.resolved(), Value::List(_));
        if items.len() <= SMALL && items.iter().all(is_element) {
            return None;
        }
        let address = items.as_ptr().addr();
        if let Some(known) = self.lists.borrow().get(&address) {
            return Some(Rc::clone(known));
        }
        let mut before = Vec::new();
        let mut count: usize = 0;
        if items.iter().all(is_element) {
            count = items.len();
        } else {
            for item in items {
                before.push(count);
                count = count.saturating_add(self.count_in_list(item));
            }
        }
        let elements = Rc::new(Elements { count, before });
        self.lists.borrow_mut().insert(address, Rc::clone(&elements));
        Some(elements)
    }

    /// The first entry with one of the names as its key and with a value.
    pub(super) fn entry<'n, 't>(&self, entries: &'n [Entry<'t>], names: &[&str]) -> Option<&'n Entry<'t>> {
        let is_wanted = |entry: &&Entry<'_>| names.contains(&&*entry.key) && !entry.value.is_null();
        if entries.len() <= SMALL {
            return entries.iter().find(is_wanted);
        }
        let address = entries.as_ptr().addr();
        let known = self.maps.borrow().get(&address).map(Rc::clone);
        let known = known.unwrap_or_else(|| {
            let mut first = HashMap::with_capacity(entries.len());
            for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| !entry.value.is_null()) {
                first.entry(self.hasher.hash_one(&*entry.key)).or_insert(index);
            }
            let first = Rc::new(first);
            self.maps.borrow_mut().insert(address, Rc::clone(&first));
            first
        });
        let index = names.iter().filter_map(|name| known.get(&self.hasher.hash_one(*name))).min()?;
        // Two keys may have the same hash.
        entries.get(*index).filter(is_wanted).or_else(|| entries.iter().find(is_wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{parse::parse, source::Limits};

    #[track_caller]
    fn check_element(text: &str, index: usize, expected: Result<(u32, u32), usize>) {
        let limits = Limits::default();
        let tree = parse(text, &limits).unwrap();
        let indices = Indices::default();
        // The second time it is known.
        for _ in 0..2 {
            let found = indices.element(&tree, index).map(|node| (node.mark.line(), node.mark.column()));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn elements_of_flattened_lists() {
        check_element("[a, b, c]", 2, Ok((1, 8)));
        check_element("[a, b, c]", 3, Err(3));
        check_element("a", 0, Ok((1, 1)));
        check_element("a", 1, Err(1));
        check_element("null", 0, Err(0));
        check_element("[]", 0, Err(0));
        check_element("[null, [], a]", 0, Ok((1, 2)));
        check_element("[null, [], a]", 1, Ok((1, 12)));
        check_element("[null, [[a, null, b], c], d]", 1, Ok((1, 10)));
        check_element("[null, [[a, null, b], c], d]", 2, Ok((1, 13)));
        check_element("[null, [[a, null, b], c], d]", 5, Ok((1, 27)));
        check_element("[&x [a, b], *x, c]", 3, Ok((1, 9)));
        check_element("[&x [a, b], *x, c]", 4, Ok((1, 17)));
        check_element(&format!("[{}]", "a,".repeat(100)), 99, Ok((1, 200)));
        check_element(&format!("[{} null, b]", "a,".repeat(100)), 101, Ok((1, 209)));
    }

    /// Three times two to the power of fifty elements.
    #[test]
    fn lists_that_are_mostly_aliases() {
        let mut text = "- &a0 [null, x, y]\n".to_owned();
        for level in 1..50 {
            text.push_str(&format!("- &a{level} [*a{0}, *a{0}]\n", level - 1));
        }
        check_element(&text, 1 << 49, Ok((1, 17)));
        check_element(&text, (3 << 50) - 5, Ok((1, 14)));
        check_element(&text, 3 << 50, Err((3 << 50) - 3));
    }

    #[test]
    fn entries() {
        #[track_caller]
        fn check(text: &str, names: &[&str], expected: Option<u32>) {
            let limits = Limits::default();
            let tree = parse(text, &limits).unwrap();
            let indices = Indices::default();
            for _ in 0..2 {
                let found = indices.entry(tree.entries().unwrap(), names).map(|entry| entry.mark.line());
                assert_eq!(found, expected, "{names:?} {text}");
            }
        }
        let many: String = (0..SMALL).map(|at| format!("k{at}: 1\n")).collect();
        for before in ["", &many] {
            let lines = u32::try_from(before.lines().count()).unwrap();
            let text = format!("{before}a_b: 1\naB: 2\na_b: 3\nc: null\nc: 4\n");
            check(&text, &["a_b", "aB"], Some(lines + 1));
            check(&text, &["aB"], Some(lines + 2));
            check(&text, &["c"], Some(lines + 5));
            check(&text, &["d", "e"], None);
        }
    }
}
