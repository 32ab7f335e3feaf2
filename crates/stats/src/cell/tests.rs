use std::collections::HashSet;

use super::*;

const LINE: usize = 64;

#[test]
fn cells_of_two_shards_lie_on_different_cache_lines() {
    let mut shards = [Slabs::default(), Slabs::default(), Slabs::default()];
    let mut lines: [HashSet<usize>; 3] = Default::default();
    for _ in 0..200 {
        for (slabs, lines) in shards.iter_mut().zip(&mut lines) {
            let cell = slabs.take(Shard::MAIN);
            lines.insert(cell.address() / LINE);
            lines.insert(std::ptr::from_ref(&cell.slab.used).addr() / LINE);
        }
    }
    for (i, a) in lines.iter().enumerate() {
        for b in lines.iter().skip(i + 1) {
            assert!(a.is_disjoint(b));
        }
    }
}

#[test]
fn every_cell_is_its_own() {
    let mut slabs = Slabs::default();
    let cells: Vec<Cell> = (0..1000).map(|_| slabs.take(Shard::MAIN)).collect();
    let addresses: HashSet<usize> = cells.iter().map(Cell::address).collect();
    assert_eq!(addresses.len(), cells.len());
    CounterFn::increment(&cells[64], 3);
    for (i, cell) in cells.iter().enumerate() {
        assert_eq!(cell.value(), if i == 64 { 3 } else { 0 });
        assert_eq!(cell.is_used(), i == 64);
    }
}

#[test]
fn a_write_that_leaves_zero_still_counts_as_use() {
    fn check(write: impl FnOnce(&Cell)) {
        let cell = Slabs::default().take(Shard::MAIN);
        assert!(!cell.is_used());
        write(&cell);
        assert_eq!(cell.value(), 0);
        assert!(cell.is_used());
    }
    check(|cell| CounterFn::increment(cell, 0));
    check(|cell| cell.absolute(0));
    check(|cell| cell.set(0.0));
    check(|cell| {
        GaugeFn::increment(cell, 1.0);
        cell.decrement(1.0);
    });
}

#[test]
fn gauges_take_whole_numbers_and_keep_their_sign() {
    let cell = Slabs::default().take(Shard::MAIN);
    cell.set(5.9);
    assert_eq!(cell.value(), 5);
    cell.decrement(7.0);
    assert_eq!(cell.value().cast_signed(), -2);
    cell.set(f64::NAN);
    assert_eq!(cell.value(), 0);
}
