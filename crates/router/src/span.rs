//! Places in the flat pools that the lookup structures keep their text and lists in.

/// A run of items in a pool. Half the size of a slice, and the pools move freely with their owner.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Span {
    /// Appends the items to the pool and says where they are.
    pub(crate) fn append<T: Clone>(pool: &mut Vec<T>, items: &[T]) -> Self {
        let span = Self { start: offset(pool.len()), len: offset(items.len()) };
        pool.extend_from_slice(items);
        span
    }

    /// The items in the pool that the span was made for.
    pub(crate) fn of<T>(self, pool: &[T]) -> &[T] {
        let start = self.start as usize;
        pool.get(start..start + self.len as usize).unwrap_or_default()
    }
}

/// An offset into a pool. The builder refuses tables whose text or routes could exceed its range.
pub(crate) fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
