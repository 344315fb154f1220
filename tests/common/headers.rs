//! What the public headers declare.

/// The headers and their names.
pub(crate) const HEADERS: [(&str, &str); 2] = [
    ("chatServer.h", include_str!("../../include/chatServer.h")),
    ("chatServerExt.h", include_str!("../../include/chatServerExt.h")),
];

/// The prototypes in a header, each a line: `int add_conn(int sd, conn_pool_t *pool);`.
pub(crate) fn prototypes(header: &str) -> impl Iterator<Item = &str> {
    let begun = header.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    begun.filter(|line| line.ends_with(");"))
}

/// The name of the function that a prototype declares.
pub(crate) fn name(prototype: &str) -> &str {
    let (head, _) = prototype.split_once('(').expect("a function");
    head.rsplit([' ', '*']).next().expect("a name")
}
