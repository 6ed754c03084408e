"""Public sets, fetched from their archives: listed, estimated, transferred, verified.

The way of a file: the descriptor of a cohort (:mod:`.recipe`) names a collection and tables; the
archive's index (:mod:`.index`) lists its series, the bucket (:mod:`.bucket`) the files of each with
size and hash; :mod:`.transfer` brings a file into a part that no reader takes for an image,
:mod:`.checks` verifies it, and only then it is moved to its name. :mod:`.journal` remembers what
was listed and verified, so that a killed fetch goes on where it was; :mod:`.fetch` does it for a
whole set.
"""
