# Shortcuts: each target is a plain cargo or sam line, and this is the list of them.
.PHONY: help run demo picture test t expect exchanges fuzz soak load scale storm bench bench-cold fmt lint doc tidy build deploy ci

help: ## Print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Start the endpoint on this machine
	cargo run

demo: ## Show a sample app that listens, while a small story is told
	cargo run -- demo

picture: ## Take the README's first picture again (needs Chromium)
	cargo build && python3 tests/suites/screenshot.py target/debug/scimctl docs/images/demo.png

test: ## Run every test
	cargo test

t: ## Run the tests whose name contains F: make t F=paging
	cargo test $(F)

expect: ## Write what arrives into the expectations of the tests that F names; then read the diff
	UPDATE_EXPECT=1 cargo test $(F)

exchanges: ## Run the recorded conversations (against SCIM_BASE_URL with SCIM_TOKEN, when set)
	cargo test --test it exchanges

fuzz: ## Make inputs up for a target of fuzz/ (needs nightly Rust and cargo-fuzz): make fuzz T=filter
	FUZZ_SEEDS=fuzz/corpus cargo test --test it fuzz::
	cd fuzz && cargo +nightly fuzz run -s none $(or $(T),filter) -- -timeout=1 -rss_limit_mb=2048 -dict=scim.dict

soak: ## 25 requests a second on the Lambda binary for an hour, or for S seconds: make soak S=60
	SOAK_SECONDS=$(or $(S),3600) cargo test --test it lambda::soak -- --nocapture

load: ## Measure how fast the local server answers: requests/s at 1, 8 and 32 at once
	cargo run --profile fast -- load

scale: ## Time operations in a tenant of N people beside one of 1,000: make scale N=1000000
	cargo run --profile fast -- load --tenant-size $(or $(N),20000) --data target/scale

storm: ## Measure what a tenant notices of another one's storm
	cargo run --profile fast -- load --storm

bench: ## Time and allocations of the core on Entra's bodies
	cargo run --release --no-default-features --features bench --example core --target-dir target/lambda -- --bench

bench-cold: ## Cold start, CPU and memory of the Lambda binary, beside a hello world; prints the table of docs/BENCHMARKS.md
	cargo build --release --no-default-features --features bench --bin bootstrap --example hello --target-dir target/lambda
	cargo run --profile fast --features bench --example cold_start

fmt: ## Format
	cargo fmt

lint: ## Clippy, warnings denied
	cargo clippy --all-targets --locked -- -D warnings

doc: ## Build the documentation, private items included
	cargo doc --no-deps --document-private-items

tidy: ## Check that the repository is what its documents say
	cargo test --test it tidy

build: ## Build what is deployed
	sam build

deploy: ## Deploy it, asking for the parameters
	sam build && sam deploy --guided

ci: ## Everything that is checked before a merge
	.ci/run
