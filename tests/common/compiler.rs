//! The C compiler: `CC` and `CFLAGS` are honoured, warnings are errors.

use super::folders::root;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// The `cc` crate runs the compiler to find out which it is.
static COMPILER: LazyLock<cc::Tool> = LazyLock::new(|| {
    cc::Build::new()
        .target(env!("TARGET"))
        .host(env!("TARGET"))
        .opt_level(1)
        .debug(true)
        .cargo_metadata(false)
        .std("gnu11")
        .extra_warnings(true)
        .warnings_into_errors(true)
        .include(root().join("include"))
        .get_compiler()
});

/// Builds one program from one source on the public headers, with `arguments` for the linker.
pub(crate) fn build(
    source: &Path,
    arguments: &[String],
    program: &Path,
) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(program.parent().expect("a program lies in a folder"))?;
    let status = COMPILER
        .to_command()
        .arg(source)
        .args(arguments)
        .arg("-pthread")
        .arg("-o")
        .arg(program)
        .status()?;
    if !status.success() {
        return Err(format!("{} cannot be built: {status}", source.display()).into());
    }
    Ok(())
}
