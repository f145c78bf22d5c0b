package main

import (
	"fmt"
	"os"
	"strings"
)

// golden is the agreed answers in the form of the test's file: a block for each question.
func golden(results []*result) string {
	var b strings.Builder
	for _, r := range results {
		fmt.Fprintf(&b, "%s\n", r.Name)
		for _, row := range r.answer {
			fmt.Fprintf(&b, "%s\n", strings.Join(row, " | "))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// readGolden gives the answers by the names of the questions.
func readGolden(text string) map[string]answer {
	out := map[string]answer{}
	for block := range strings.SplitSeq(strings.TrimSuffix(text, "\n\n"), "\n\n") {
		lines := strings.Split(block, "\n")
		rows := make(answer, len(lines)-1)
		for i, line := range lines[1:] {
			rows[i] = strings.Split(line, " | ")
		}
		out[lines[0]] = rows
	}
	return out
}

// writeGolden writes the answers down if all of the databases agree on each.
func writeGolden(name string, results []*result) error {
	for _, r := range results {
		if r.Wrong != "" {
			return fmt.Errorf("%s has no agreed answer to write down: %s", r.Name, r.Wrong)
		}
	}
	return os.WriteFile(name, []byte(golden(results)), 0o644)
}
