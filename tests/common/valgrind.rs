//! What valgrind says of descriptors. It lists those that are open at the end, and before its
//! version 3.21 that makes no difference to the status.

/// The lines about descriptors that the program has opened itself and not closed.
pub(crate) fn open_descriptors(said: &str) -> Vec<&str> {
    let lines: Vec<_> = said.lines().collect();
    let own = lines.windows(2).filter(|pair| {
        pair[0].contains("== Open ") && !pair[1].contains("<inherited from parent>")
    });
    own.map(|pair| pair[0]).collect()
}
