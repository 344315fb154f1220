//! Valgrind's list of descriptors that are open at the end; before version 3.21 they do not change
//! its exit status.

/// The lines about descriptors that the program has opened itself and not closed.
pub(crate) fn open_descriptors(said: &str) -> Vec<&str> {
    let lines: Vec<_> = said.lines().collect();
    let own = lines.windows(2).filter(|pair| {
        pair[0].contains("== Open ") && !pair[1].contains("<inherited from parent>")
    });
    own.map(|pair| pair[0]).collect()
}
