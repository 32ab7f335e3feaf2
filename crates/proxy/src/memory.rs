//! How much memory the process uses, as the kernel counts it.

use nuncio_admin::Memory;

/// Reads `/proc/self/status`; zeros where there is none.
///
/// What Envoy's allocator reports as allocated is taken as the private resident memory, and its heap size as that and
/// what was swapped out: the allocator is chosen by the binary and is not asked.
pub(crate) fn read() -> Memory {
    std::fs::read_to_string("/proc/self/status").map(|status| parse(&status)).unwrap_or_default()
}

fn parse(status: &str) -> Memory {
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kilobytes.unwrap_or(0) * 1024
    };
    let allocated = bytes("RssAnon");
    Memory { allocated, heap_size: allocated + bytes("VmSwap"), total_physical_bytes: bytes("VmRSS") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_become_bytes() {
        let memory = parse("Name:\tx\nVmSwap:\t    2 kB\nVmRSS:\t 7 kB\nRssAnon:\t       3 kB\n");
        assert_eq!(memory, Memory { allocated: 3072, heap_size: 5120, total_physical_bytes: 7168 });
        assert_eq!(parse("nothing"), Memory::default());
        assert!(read().total_physical_bytes > 0);
    }
}
