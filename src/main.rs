//! The `metaleak` program: everything is in the library; see `metaleak::cli`.

// Many small facts of many flows, made on one thread and freed on another.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    metaleak::cli::main()
}
