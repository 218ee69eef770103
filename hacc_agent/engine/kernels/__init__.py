"""The quick path: what is plain of a batch, compiled. All else is the reference's (`..cluster`)."""
