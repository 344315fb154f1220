.PHONY: header

header: ## renew the headers in include/ from the library's Rust code
	RENEW_HEADER=1 $(CARGO) test --quiet --test suite header::
