"""The shipped phrases: how people ask for a correction, for a human, and how they take their leave.

One phrase a line. `^` in front: at the beginning of the message; `$` behind: at its end; else anywhere. Whole words
only, whatever the case, accents and punctuation between them ("No, that's WRONG" is "no thats wrong"). Short words that
mean little by themselves ("no", "thanks") are anchored or have company, so that "no problem" corrects nothing.
"""

from __future__ import annotations


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


CORRECTION = _lines("""
    ^no that's
    ^no that is
    ^no it's
    ^no it is
    ^no i meant
    ^no i mean
    ^no i said
    ^no i asked
    ^that's wrong
    ^that is wrong
    ^this is wrong
    ^that's not right
    ^that is not right
    ^that's incorrect
    ^this is incorrect
    ^wrong answer
    ^wrong$
    ^incorrect
    that's not what i
    that is not what i
    not what i asked
    not what i meant
    you misunderstood
    you got it wrong
    you got that wrong
    your answer is wrong
    your answer is incorrect
    you made a mistake
    that's a mistake
    still wrong
    still doesn't work
    still not working
    that didn't work
    that doesn't work
    ^i meant
    correct your answer
    ^nein das
    ^nein ich meinte
    ^das ist falsch
    ^das stimmt nicht
    ^das ist nicht richtig
    ^falsch
    das habe ich nicht gefragt
    das meinte ich nicht
    ich meinte
    funktioniert immer noch nicht
    ^non ce n'est pas
    ^c'est faux
    ^ce n'est pas ce que
    ^ce n'est pas correct
    ^ce n'est pas ça
    je voulais dire
    vous avez mal compris
    tu as mal compris
    ça ne marche toujours pas
    ^no eso no
    ^eso no es
    ^eso está mal
    ^está mal
    ^incorrecto
    no es lo que
    quise decir
    me has entendido mal
    sigue sin funcionar
    ^não é isso
    ^isso está errado
    ^está errado
    não foi isso que
    quis dizer
    ainda não funciona
    ^è sbagliato
    ^sbagliato
    ^non è corretto
    ^non è quello che
    intendevo dire
    non funziona ancora
    ^nee dat is
    ^dat klopt niet
    ^dat is fout
    ik bedoelde
    ^لا هذا
    ^هذا خطأ
    ^هذا غير صحيح
    ^خطأ$
    ليس هذا ما
    لم أسأل عن
    كنت أقصد
    ^不对
    ^不是这个
    ^错了
    你错了
    你理解错了
    我的意思是
    不是我问的
    还是不行
    ^違います
    ^違う
    ^間違っています
    そうではなく
    そういう意味ではなく
    ^틀렸
    ^아니요 그게 아니라
""")

ESCALATION = _lines("""
    speak to a human
    speak to a person
    speak to a real person
    speak to someone
    speak with a human
    speak with a person
    speak with someone
    talk to a human
    talk to a person
    talk to a real person
    talk to someone
    talk with a human
    human agent
    human being please
    live agent
    real human
    real person
    speak to an agent
    speak to a agent
    talk to an agent
    speak to a representative
    speak to a manager
    speak to your manager
    speak to your supervisor
    customer service representative
    ^agent$
    ^agent please
    ^human$
    ^human please
    ^representative$
    ^operator$
    connect me to
    connect me with a
    transfer me to
    call me back
    file a complaint
    mit einem menschen
    mit einem mitarbeiter
    mit einer mitarbeiterin
    echten menschen
    ^mitarbeiter$
    rufen sie mich
    parler à un humain
    parler à quelqu'un
    parler à un conseiller
    parler à une personne
    un vrai humain
    hablar con una persona
    hablar con un humano
    hablar con un agente
    hablar con alguien
    ^agente$
    falar com uma pessoa
    falar com um humano
    falar com um atendente
    ^atendente$
    parlare con una persona
    parlare con un operatore
    parlare con un umano
    ^operatore$
    met een medewerker
    met een mens
    التحدث مع شخص
    التحدث إلى شخص
    التحدث مع موظف
    التحدث إلى موظف
    التحدث مع إنسان
    أريد موظف
    转人工
    人工客服
    人工服务
    找真人
    真人客服
    担当者と話
    人間と話
    オペレーターにつな
    オペレーターと話
    상담원 연결
    상담사 연결
""")

CLOSING = _lines("""
    ^thanks
    ^thank you
    ^thx
    ^ty$
    ^cheers$
    ^great thanks
    ^perfect
    ^awesome thanks
    ^ok thanks
    ^okay thanks
    ^got it thanks
    thanks$
    thank you$
    thanks a lot$
    thank you so much$
    thank you very much$
    that worked
    it worked$
    works now
    that solved it
    that fixed it
    problem solved
    that's all i needed
    that is all i needed
    ^that's all$
    ^that's all thanks
    ^goodbye
    ^bye$
    ^danke
    ^vielen dank
    danke$
    das hat geklappt
    das hat funktioniert
    ^super danke
    ^tschüss
    ^merci
    merci$
    merci beaucoup
    ça marche$
    c'est parfait
    ^au revoir
    ^gracias
    gracias$
    muchas gracias
    ^perfecto
    ha funcionado
    ^obrigado
    ^obrigada
    obrigado$
    obrigada$
    funcionou$
    ^grazie
    grazie$
    ^perfetto
    ha funzionato
    ^bedankt
    ^dank je
    ^dank u
    ^شكرا
    شكرا$
    شكرا جزيلا
    ^谢谢
    谢谢$
    ^感谢
    解决了
    可以了$
    ^ありがとう
    ありがとうございます
    ありがとうございました
    解決しました
    ^감사합니다
    ^고마워
    감사합니다$
""")

# What turns a thank-you into something else: "thanks, but it still fails".
TURNING = _lines("""
    but
    however
    still
    nothing
    aber
    trotzdem
    mais
    pero
    mas
    ma
    maar
    لكن
    但
    可是
    不过
    でも
    けど
    하지만
""")
