from test_failing import *  # noqa
from trials import Case, Then
def test_every_new(trials, operations):
    ops=[o for o in operations if o.name in ("a lost hub is restored","a hub is written into an archive","a damaged hub is mended")]
    n=0
    for case in every(trials, ops):
        if (case.at%2==0)==(case.then is Then.GOES_ON): trials.run(case); n+=1
    print(n, trials.reported, trials.failed)
    assert not trials.violations, (len(trials.violations), trials.violations[:6])
