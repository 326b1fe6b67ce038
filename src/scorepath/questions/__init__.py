"""The student's questions in numbers: small experiments of their own, the same in every study."""
