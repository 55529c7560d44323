# Every task of the project by one name; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# A toolchain that rustup has just installed is not yet on the PATH.
export PATH := $(PATH):$(HOME)/.cargo/bin

.PHONY: help demo sample test bench fuzz captures captures-expect lab lab-run

SCENARIO ?= scenarios/lab/xmpp-starttls.toml

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 26

demo: ## build, study the stored captures, print the verdicts and where the report lies
	@scripts/setup.sh build
	@cargo build --profile demo --locked
	@target/demo/metaleak study captures/

sample: ## a sample report of the stored captures, English and German, in reports/sample/
	@scripts/setup.sh build
	@scripts/sample.sh

test: ## everything that CI runs; what needs a program that is missing says so
	@scripts/setup.sh build
	@scripts/test.sh

bench: ## MiB/s and packets/s beside ndpiReader and tshark, and peak memory
	@scripts/setup.sh build
	@scripts/bench.sh

fuzz: ## every fuzz target: 2 minutes with cargo-fuzz, else 100,000 cases without; says which
	@scripts/setup.sh build
	@scripts/fuzz.sh

captures: ## record captures/ anew from real programs in network namespaces (root)
	@scripts/setup.sh lab apps
	@scripts/record-captures --into captures

captures-expect: ## write captures/*.expected.toml from what the program says now; review the diff like code
	@cargo build --locked
	@scripts/captures-expect target/debug/metaleak captures

lab: ## the recorder's self-check: every recording into a temporary folder (root)
	@scripts/setup.sh build lab apps
	@scripts/lab.sh

lab-run: ## run a scenario against the lab's own servers: make lab-run SCENARIO=scenarios/lab/counselling.toml (root)
	@scripts/setup.sh build lab apps
	@cargo build --locked --quiet
	@scripts/lab-run $(SCENARIO)
