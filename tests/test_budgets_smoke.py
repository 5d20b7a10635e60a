import asyncio, openai, pytest, spantally, time
from spantally.testing import Reply, Usage, ScriptedServer
from watching import Watched

def test_it(server, watched):
    c = openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0)
    with spantally.session("s", budget=spantally.Budget(usd="0.5", calls=3, on_exceed="hard")) as s:
        for _ in range(3):
            c.chat.completions.create(model="gpt-4o", messages=[{"role":"user","content":"hi"}])
            print(s.remaining)
        with pytest.raises(spantally.BudgetExceeded) as e:
            c.chat.completions.create(model="gpt-4o", messages=[{"role":"user","content":"hi"}])
        print(e.value)
        print(s.totals)
    assert len(server.requests) == 3
