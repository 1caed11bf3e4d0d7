# SPDX-License-Identifier: GPL-2.0-only
# Joins the TAP of several suites: renumbers the results, counts them, and turns a suite that ended
# badly without saying `not ok`, or that said nothing at all, into a failure of its own.

function result(verdict, text) {
	n++
	print verdict " " n " - " text
	fflush()
}

/^# suite [^ ]+$/ { suite = $3; said = 0; bad = 0; next }

/^# suite [^ ]+ ended with status [0-9]+$/ {
	if ($7 != 0 && !bad) {
		failed++
		result("not ok", suite ": ended with status " $7)
	} else if (!said) {
		failed++
		result("not ok", suite ": no test ran")
	}
	next
}

/^(ok|not ok)( |$)/ {
	verdict = /^ok/ ? "ok" : "not ok"
	text = $0
	sub(/^(not )?ok *[0-9]* *(- )?/, "", text)
	said = 1
	if (text ~ /# *[Ss][Kk][Ii][Pp]/) skipped++
	else if (verdict == "ok") passed++
	else { failed++; bad = 1 }
	result(verdict, suite ": " text)
	next
}

/^1\.\.[0-9]+/ { if ($0 ~ /^1\.\.0/) said = 1; next }
{ print; fflush() }

END {
	print "1.." n
	printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
	exit failed > 0
}
