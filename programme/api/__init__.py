"""The administration interface over HTTP: thin routes over the service layer (design decision 20).

No route has a rule: who may do what, life cycles and the two people are kept below, in the service
layer. Needs the extra `api`.
"""
