//! The `metaleak` program: everything is in the library; see `metaleak::cli`.

fn main() -> std::process::ExitCode {
    metaleak::cli::main()
}
