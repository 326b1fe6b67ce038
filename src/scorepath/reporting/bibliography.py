"""The works that the report's estimators, environments, claims and statistics go back to, with links and as BibTeX."""

from __future__ import annotations

import base64
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """One entry; `link` is a DOI's, arXiv's or the publisher's own page."""

    key: str
    authors: str
    """As BibTeX has them: "Surname, Given and ..."."""
    year: int
    title: str
    where: str
    link: str

    @property
    def names(self) -> str:
        """The surnames."""
        names = [author.split(",")[0] for author in self.authors.split(" and ")]
        return f"{', '.join(names[:-1])} & {names[-1]}" if len(names) > 1 else names[0]

    @property
    def bibtex(self) -> str:
        fields = {"author": self.authors, "title": f"{{{self.title}}}", "year": str(self.year),
                  "howpublished": self.where, "url": self.link}  # fmt: skip
        return "\n".join([f"@misc{{{self.key},", *(f"  {name} = {{{text}}}," for name, text in fields.items()), "}"])


def _arxiv(key: str, authors: str, year: int, title: str, where: str, number: str) -> Work:
    return Work(key, authors, year, title, where, f"https://arxiv.org/abs/{number}")


def _doi(key: str, authors: str, year: int, title: str, where: str, number: str) -> Work:
    return Work(key, authors, year, title, where, f"https://doi.org/{number}")


WORKS = (
    _arxiv("agarwal2021", "Agarwal, Rishabh and Schwarzer, Max and Castro, Pablo Samuel and Courville, Aaron and"
           " Bellemare, Marc", 2021, "Deep reinforcement learning at the edge of the statistical precipice",
           "NeurIPS", "2108.13264"),
    _doi("benjamini1995", "Benjamini, Yoav and Hochberg, Yosef", 1995, "Controlling the false discovery rate: a"
         " practical and powerful approach to multiple testing", "Journal of the Royal Statistical Society B 57",
         "10.1111/j.2517-6161.1995.tb02031.x"),
    _arxiv("carvalho2021", "Carvalho, João and Tateo, Davide and Muratore, Fabio and Peters, Jan", 2021,
           "An empirical analysis of measure-valued derivatives for policy gradients", "IJCNN", "2107.09359"),
    Work("greensmith2004", "Greensmith, Evan and Bartlett, Peter and Baxter, Jonathan", 2004, "Variance reduction"
         " techniques for gradient estimates in reinforcement learning", "Journal of Machine Learning Research 5",
         "https://www.jmlr.org/papers/v5/greensmith04a.html"),
    _arxiv("heess2015", "Heess, Nicolas and Wayne, Greg and Silver, David and Lillicrap, Timothy and Tassa, Yuval and"
           " Erez, Tom", 2015, "Learning continuous control policies by stochastic value gradients", "NIPS",
           "1510.09142"),
    _arxiv("ilyas2020", "Ilyas, Andrew and Engstrom, Logan and Santurkar, Shibani and Tsipras, Dimitris and Janoos,"
           " Firdaus and Rudolph, Larry and Madry, Aleksander", 2020, "A closer look at deep policy gradients", "ICLR",
           "1811.02553"),
    _arxiv("jang2017", "Jang, Eric and Gu, Shixiang and Poole, Ben", 2017, "Categorical reparameterization with"
           " Gumbel-softmax", "ICLR", "1611.01144"),
    Work("kool2019", "Kool, Wouter and van Hoof, Herke and Welling, Max", 2019, "Buy 4 REINFORCE samples, get a"
         " baseline for free!", "ICLR workshop", "https://openreview.net/forum?id=r1lgTGL5DE"),
    _arxiv("lee2018", "Lee, Wonyeol and Yu, Hangyeol and Yang, Hongseok", 2018, "Reparameterization gradient for"
           " non-differentiable models", "NeurIPS", "1806.00176"),
    _arxiv("maddison2017", "Maddison, Chris and Mnih, Andriy and Teh, Yee Whye", 2017, "The concrete distribution: a"
           " continuous relaxation of discrete random variables", "ICLR", "1611.00712"),
    _arxiv("metz2021", "Metz, Luke and Freeman, Daniel and Schoenholz, Samuel and Kachman, Tal", 2021, "Gradients are"
           " not all you need", "arXiv", "2111.05803"),
    _arxiv("mohamed2020", "Mohamed, Shakir and Rosca, Mihaela and Figurnov, Michael and Mnih, Andriy", 2020,
           "Monte Carlo gradient estimation in machine learning", "Journal of Machine Learning Research 21",
           "1906.10652"),
    _arxiv("parmas2018", "Parmas, Paavo and Rasmussen, Carl Edward and Peters, Jan and Doya, Kenji", 2018, "PIPPS:"
           " flexible model-based policy search robust to the curse of chaos", "ICML", "1902.01240"),
    _arxiv("rezende2014", "Rezende, Danilo Jimenez and Mohamed, Shakir and Wierstra, Daan", 2014, "Stochastic"
           " backpropagation and approximate inference in deep generative models", "ICML", "1401.4082"),
    _arxiv("salimans2017", "Salimans, Tim and Ho, Jonathan and Chen, Xi and Sidor, Szymon and Sutskever, Ilya", 2017,
           "Evolution strategies as a scalable alternative to reinforcement learning", "arXiv", "1703.03864"),
    _arxiv("schulman2016", "Schulman, John and Moritz, Philipp and Levine, Sergey and Jordan, Michael and Abbeel,"
           " Pieter", 2016, "High-dimensional continuous control using generalized advantage estimation", "ICLR",
           "1506.02438"),
    _doi("sehnke2010", "Sehnke, Frank and Osendorfer, Christian and Rückstieß, Thomas and Graves, Alex and Peters, Jan"
         " and Schmidhuber, Jürgen", 2010, "Parameter-exploring policy gradients", "Neural Networks 23",
         "10.1016/j.neunet.2009.12.004"),
    Work("silver2014", "Silver, David and Lever, Guy and Heess, Nicolas and Degris, Thomas and Wierstra, Daan and"
         " Riedmiller, Martin", 2014, "Deterministic policy gradient algorithms", "ICML",
         "https://proceedings.mlr.press/v32/silver14.html"),
    _doi("spall1992", "Spall, James", 1992, "Multivariate stochastic approximation using a simultaneous perturbation"
         " gradient approximation", "IEEE Transactions on Automatic Control 37", "10.1109/9.119632"),
    _arxiv("suh2022", "Suh, H. J. Terry and Simchowitz, Max and Zhang, Kaiyuan and Tedrake, Russ", 2022,
           "Do differentiable simulators give better policy gradients?", "ICML", "2202.00817"),
    Work("sutton2000", "Sutton, Richard and McAllester, David and Singh, Satinder and Mansour, Yishay", 2000,
         "Policy gradient methods for reinforcement learning with function approximation", "NIPS 12",
         "https://papers.nips.cc/paper/1713-policy-gradient-methods-for-reinforcement-learning-with-function"
         "-approximation"),
    _arxiv("wang2023", "Wang, Tao and Herbert, Sylvia and Gao, Sicun", 2023, "Fractal landscapes in policy"
           " optimization", "NeurIPS", "2310.15418"),
    _arxiv("weaver2001", "Weaver, Lex and Tao, Nigel", 2001, "The optimal reward baseline for gradient-based"
           " reinforcement learning", "UAI", "1301.2315"),
    _doi("williams1992", "Williams, Ronald", 1992, "Simple statistical gradient-following algorithms for connectionist"
         " reinforcement learning", "Machine Learning 8", "10.1007/BF00992696"),
    _arxiv("xu2019", "Xu, Ming and Quiroz, Matias and Kohn, Robert and Sisson, Scott", 2019, "Variance reduction"
           " properties of the reparameterization trick", "AISTATS", "1809.10330"),
    _arxiv("xu2022", "Xu, Jie and Makoviychuk, Viktor and Narang, Yashraj and Ramos, Fabio and Matusik, Wojciech and"
           " Garg, Animesh and Macklin, Miles", 2022, "Accelerated policy learning with parallel differentiable"
           " simulation", "ICLR", "2204.07137"),
)  # fmt: skip


def bibtex_address() -> str:
    """All entries as a file to be saved: a data address."""
    text = "\n\n".join(work.bibtex for work in WORKS) + "\n"
    return f"data:application/x-bibtex;base64,{base64.b64encode(text.encode()).decode()}"
