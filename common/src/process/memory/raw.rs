//! The calls that have no safe interface, of jemalloc and of the kernel. The only unsafe code of the project.
#![expect(unsafe_code, reason = "jemalloc reads its settings from a symbol, and purging has no safe interface")]

use std::ffi::{CStr, c_char, c_int};
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::RawFd;
use std::ptr;

use nix::libc;

#[global_allocator]
static ALLOCATOR: jemallocator::Jemalloc = jemallocator::Jemalloc;

/// A pointer that jemalloc may read from any thread.
#[repr(transparent)]
pub(super) struct Settings(*const c_char);
// SAFETY: it points to a constant of the program, which nobody writes to.
unsafe impl Sync for Settings {}

/// One background thread gives back what has been free for a second; two arenas are enough for two cores.
const TUNING: &CStr = c"background_thread:true,max_background_threads:1,narenas:2,dirty_decay_ms:1000,muzzy_decay_ms:0";

// SAFETY: jemalloc, built with this prefix, declares `const char *_rjem_malloc_conf`, and this is one.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub(super) static SETTINGS: Settings = Settings(TUNING.as_ptr());

/// The settings compiled in.
pub(super) fn tuning() -> &'static str {
    TUNING.to_str().unwrap_or_default()
}

/// Calls a control of jemalloc that takes and gives nothing.
fn call(name: &CStr) -> io::Result<()> {
    // SAFETY: the name ends with NUL, and a control without values takes null for all of them.
    let code = unsafe { jemalloc_sys::mallctl(name.as_ptr(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), 0) };
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}

/// The bytes that all threads' caches hold, as of the last epoch; 4096 stands for all arenas.
pub(super) fn thread_cache_bytes() -> jemalloc_ctl::Result<usize> {
    // SAFETY: the name ends with NUL, and jemalloc has this value as a `size_t`.
    unsafe { jemalloc_ctl::raw::read(b"stats.arenas.4096.tcache_bytes\0") }
}

/// Gives back all unused pages of all arenas; 4096 stands for all of them.
pub(super) fn purge_arenas() -> io::Result<()> {
    call(c"arena.4096.purge")
}

/// Empties the calling thread's cache of free objects into the arenas.
pub(super) fn flush_thread_cache() -> io::Result<()> {
    call(c"thread.tcache.flush")
}

/// Lets go of the pages in memory of this process's code, as `maps` (the text of `/proc/self/maps`) has it; each is mapped again
/// from its file when it is next executed. Says how many bytes of address space that were.
pub(super) fn let_go_of_code(maps: &str) -> io::Result<usize> {
    let mut let_go = 0;
    for (start, end) in maps.lines().filter_map(code_range) {
        let bytes = end.saturating_sub(start);
        // SAFETY: the range is one of executable and read-only pages of a file, mapped privately: nothing that this process
        // has written is in it, so that what is read there again is what stood there. Nothing unloads code meanwhile.
        let code = unsafe { libc::madvise(ptr::without_provenance_mut(start), bytes, libc::MADV_DONTNEED) };
        if code != 0 {
            return Err(io::Error::last_os_error());
        }
        let_go += bytes;
    }
    Ok(let_go)
}

/// The addresses of a line of `/proc/self/maps` that is code of a file: `start-end r-xp offset device inode /path`.
fn code_range(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let range = fields.next()?;
    if fields.next()? != "r-xp" || !fields.nth(3)?.starts_with('/') {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
}

#[expect(clippy::cast_possible_truncation, reason = "a number, and an address of 128 bytes")]
const fn size_of_value<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

/// Whether the descriptor is a TCP socket that has a peer. One that is no socket, or was closed meanwhile, is not.
pub(super) fn is_tcp_with_peer(descriptor: RawFd) -> bool {
    let mut protocol: c_int = 0;
    let mut length = size_of_value::<c_int>();
    // SAFETY: the kernel writes at most `length` bytes, which `protocol` has, and takes any number for a descriptor.
    let code = unsafe {
        libc::getsockopt(descriptor, libc::SOL_SOCKET, libc::SO_PROTOCOL, (&raw mut protocol).cast(), &raw mut length)
    };
    if code != 0 || protocol != libc::IPPROTO_TCP {
        return false;
    }
    let mut peer = MaybeUninit::<libc::sockaddr_storage>::uninit();
    let mut length = size_of_value::<libc::sockaddr_storage>();
    // SAFETY: the kernel writes at most `length` bytes, which `peer` has; nobody reads them.
    unsafe { libc::getpeername(descriptor, peer.as_mut_ptr().cast(), &raw mut length) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_files_is_let_go_of() {
        let code = "55d0a000-55d0c000 r-xp 00002000 fe:00 1234                       /usr/bin/r3e-x";
        assert_eq!(code_range(code), Some((0x55d0_a000, 0x55d0_c000)));
        for other in [
            "55d0a000-55d0c000 r--p 00002000 fe:00 1234 /usr/bin/r3e-x",
            "55d0a000-55d0c000 rw-p 00002000 fe:00 1234 /usr/bin/r3e-x",
            "55d0a000-55d0c000 rwxp 00002000 fe:00 1234 /usr/bin/r3e-x",
            "7ffc1000-7ffc3000 r-xp 00000000 00:00 0 [vdso]",
            "7ffc1000-7ffc3000 r-xp 00000000 00:00 0",
            "",
        ] {
            assert_eq!(code_range(other), None, "{other}");
        }
    }
}
