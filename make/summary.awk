# What came of the tests: summary.awk OUTPUT SKIPPED, with what `cargo test` printed, and a line of
# name and reason for each test that was skipped. To Cargo, those have passed.

/^test .*\.\.\. FAILED$/ { failures = failures "failed: " $2 "\n" }
/^test result: / { passed += $4; failed += $6 }

NR > FNR {
	skips = skips "skipped: " $0 "\n"
	if (!seen[$1]++) {
		skipped++
	}
}

END {
	printf "%d tests passed, %d failed, %d skipped\n", passed - skipped, failed, skipped
	printf "%s%s", failures, skips
}
